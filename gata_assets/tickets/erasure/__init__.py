"""Erases people from tickets: what reads leave out, and what is removed from batches and the embedded store."""
