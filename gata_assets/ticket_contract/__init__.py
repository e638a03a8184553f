"""What two domains must agree on about tickets: a source of closed tickets, counts by reason, a census by day."""
