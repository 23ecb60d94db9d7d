"""Bringing memories from any store into any other: one engine, no code for a pair of them."""
