"""The commands that take raw files in and show what became of them."""
