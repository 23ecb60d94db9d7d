"""The nouns: records, addresses, plans, and the pure rules that belong to them."""
