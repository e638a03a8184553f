"""The software-defined assets: thin shells around `core`, partitioned by batch ID."""
