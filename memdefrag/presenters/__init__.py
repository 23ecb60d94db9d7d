"""What every page of the window shows and does, without Qt: one presenter per page, each with its view's protocol."""
