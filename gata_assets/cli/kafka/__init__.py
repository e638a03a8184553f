"""The commands that produce to Kafka and consume from it."""
