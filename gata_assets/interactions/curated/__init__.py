"""Valid interactions and items, merged into curated days and a catalog."""
