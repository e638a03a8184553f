"""JSON Lines, and JSON documents that have rows as a list of theirs: pages of an export, arrays."""
