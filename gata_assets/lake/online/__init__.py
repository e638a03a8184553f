"""The publisher of the online slice: a new version in Redis beside the old one, then one pointer."""
