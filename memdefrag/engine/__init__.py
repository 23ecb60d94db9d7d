"""The one engine that analyses, backs up, writes, verifies, recovers and undoes."""
