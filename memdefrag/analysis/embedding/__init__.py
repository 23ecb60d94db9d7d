"""Texts to vectors: models, the process that runs them, long texts, the cache."""
