"""What each path of the service does."""
