"""Requests to erase people, stored until each is carried out."""
