"""Generated sample data, and a local RDS Data API. No asset or source imports it."""
