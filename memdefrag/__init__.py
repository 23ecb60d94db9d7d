"""memdefrag: find memories that say the same thing, merge them, and always be able to go back."""

__version__ = "0.1.0"
