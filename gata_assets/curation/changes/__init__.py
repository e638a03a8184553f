"""Curated tables of changes: rows judged together, day by day."""
