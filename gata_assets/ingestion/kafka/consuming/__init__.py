"""From topics to raw segments: which messages are events, chains of offsets, dead letters, replay, metrics."""
