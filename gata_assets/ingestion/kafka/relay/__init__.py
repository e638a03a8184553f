"""Producing: what is durable in the target goes to topics, at least once."""
