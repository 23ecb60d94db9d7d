"""One file per page: widgets that show a presenter's state and call its methods."""
