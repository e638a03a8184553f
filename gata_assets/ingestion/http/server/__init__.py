"""How connections are served."""
