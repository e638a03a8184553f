"""The outside world: what reads and writes databases and stores."""
