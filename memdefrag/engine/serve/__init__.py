"""Giving out a store as a memory server, in the protocol that hdev's clients speak.

`entries` shows any store as texts and metadata under paths, `writing` is the one writer, `protocol` makes the
answers, `app` puts them behind routes, and `server` runs it all.
"""
