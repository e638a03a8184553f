"""The ticket lake: raw JSON tickets to bronze, offline and online tickets."""
