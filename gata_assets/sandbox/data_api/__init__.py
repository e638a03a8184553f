"""An RDS Data API over a PostgreSQL, for tests and for `gata data-api`."""
