"""Commands for single events: the tail, the roll-up, and where a record came from."""
