"""What arrives over HTTP and Kafka: durable as soon as it is answered, and then raw files as all others."""
