"""Backups of whole stores: raw files compressed, with a manifest of SHA-256 sums, read back before they count."""
