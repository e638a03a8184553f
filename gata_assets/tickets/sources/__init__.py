"""Ticket sources: SQLite, PostgreSQL, the RDS Data API."""
