"""Kafka: which topics hold what, the connection, what is produced and what is consumed."""
