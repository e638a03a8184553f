"""The interaction domain: what users do with items, to features and training rows."""
