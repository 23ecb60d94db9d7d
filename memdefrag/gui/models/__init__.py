"""Item models over the presenters' arrays."""
