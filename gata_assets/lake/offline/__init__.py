"""Rows of bronze to offline tickets: every version of a ticket, and the current ones."""
