"""Stand-ins for local work and tests; nothing here runs in production."""
