"""Erasing people from tickets."""
