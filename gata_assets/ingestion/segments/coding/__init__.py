"""The bytes of segments and of rejected messages, by Arrow."""
