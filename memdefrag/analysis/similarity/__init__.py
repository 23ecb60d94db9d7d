"""Which vectors and which texts are alike: all pairs, exactly and fast."""
