"""The shop tables: raw files of a shop to curated tables, and to tables for analysts."""
