"""Personal data in texts: found, and masked before it is stored."""
