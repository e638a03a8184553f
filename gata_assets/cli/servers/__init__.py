"""The commands that serve until they are stopped: the UI, and the local Data API."""
