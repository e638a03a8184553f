"""What ingestion has of people: events in segments, rejected messages, origins of records, messages of topics."""
