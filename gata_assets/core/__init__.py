"""The pure part: rules and data which need no outside world."""
