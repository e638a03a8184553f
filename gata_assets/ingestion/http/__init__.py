"""The HTTP service: who may send, what arrives, and the answers; ends in landed raw files and segments of events."""
