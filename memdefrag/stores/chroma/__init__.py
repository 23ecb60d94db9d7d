"""ChromaDB folders: read from their files without the library, written by the library in a child process.

Reading: `local` (the store) over `contents`, which lays `tables`, `index` (with `labels`) and `wal` over each
other; `health` says what is wrong. Writing: `write` prepares the staged copy (`staged`) and hands the work to
`runner`, which runs `child` in a Python that `pythons` found or `environment` made; `versions` says which fits.
"""
