"""What was found, as files for people: the same rows for every format."""
