"""People in the data of a shop: where they are, and how they are erased."""
