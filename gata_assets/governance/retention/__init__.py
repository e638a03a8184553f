"""How long data is kept: what is deleted, what is held, and the lifecycle rules of a bucket."""
