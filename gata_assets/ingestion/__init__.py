"""What arrives by HTTP, webhooks and Kafka, up to raw files."""
