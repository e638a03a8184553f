"""A local schema registry over a directory, for tests and local work; no product."""
