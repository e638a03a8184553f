"""Features of users and items over a window of interactions."""
