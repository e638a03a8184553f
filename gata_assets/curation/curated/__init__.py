"""Valid rows of any table, merged into curated tables."""
