"""Errors, settings, file-system operations and progress: what every other layer stands on."""
