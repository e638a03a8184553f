"""Mappings of a tenant's raw files: where they are kept, and which file has which."""
