"""The commands about people: erasing them, and what was done."""
