"""Labels that are names: the map of names to ids, and where it is stored."""
