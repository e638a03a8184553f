"""`gata online`: the newest tickets in Redis, as applications read them."""
