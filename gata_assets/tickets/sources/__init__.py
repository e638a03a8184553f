"""Where tickets are read from: SQLite, PostgreSQL, the RDS Data API."""
