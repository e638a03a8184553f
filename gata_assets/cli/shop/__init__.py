"""`gata shop`: the shop tables, event by event."""
