"""Settings: every variable with its type, default and meaning."""
