"""What the commands of `gata` do; their options and help texts stand in `cli`."""
