"""One file per memory system; all of them look like `base.Store`."""
