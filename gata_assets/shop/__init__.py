"""Shop tables: raw changes to curated tables, and these to tables for analysts."""
