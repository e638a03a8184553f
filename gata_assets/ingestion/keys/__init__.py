"""Who may send, how often, and what was sent before: API keys, their rate, idempotent requests."""
