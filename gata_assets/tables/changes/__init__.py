"""Tables of changes: what they declare besides columns and rules."""
