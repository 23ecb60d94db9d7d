"""``python -m memdefrag``."""

import sys

from memdefrag.cli.main import main

if __name__ == "__main__":
    if sys.argv[1:2] == ["--chroma-child"]:
        from memdefrag.stores.chroma.runner import run_if_asked

        run_if_asked(sys.argv[1:])
    if sys.argv[1:2] == ["--embedding-child"]:
        from memdefrag.analysis.embedding import worker as embedding_worker

        embedding_worker.run_if_asked(sys.argv[1:])
    sys.exit(main())
