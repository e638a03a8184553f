"""The ticket lake: raw JSON tickets to typed files, to training data, and to an online slice in Redis."""
