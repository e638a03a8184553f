"""Tickets as applications read them."""
