"""Tables for analysts: built from the curated tables, a month at a time, and registered in a catalog."""
