"""Commands that show whether the target can be trusted."""
