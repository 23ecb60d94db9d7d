"""What texts are made of: words, details, meanings, languages."""
