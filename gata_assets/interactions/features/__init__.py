"""User and item features over a window of interactions."""
