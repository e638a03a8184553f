"""A local RDS Data API backed by PostgreSQL, for tests and for `gata data-api`."""
