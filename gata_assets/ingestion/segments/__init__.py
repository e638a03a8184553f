"""Durable segments of single events: written without loss or repetition, rolled up to raw files, read until then."""
