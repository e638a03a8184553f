"""`gata lake`: the tickets of a lake, as analysts and applications read them."""
