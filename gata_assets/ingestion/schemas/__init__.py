"""Schemas of messages: the Avro of a table, the wire format, compatibility, and registries."""
