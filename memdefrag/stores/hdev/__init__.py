"""hdev memories: a folder of text files, and the server that gives out such a folder.

An entry ``a/b`` is the text file ``a/b.md`` and its metadata ``a/b.metadata.json``. `names` says which names an
entry may have, `store` what both kinds share, `folder` which files make an entry; `files` and `http` are the
stores. Learned from the program itself (hdev's memory backends) and from the answers of its server.
"""
