"""The settings of tracking servers."""
