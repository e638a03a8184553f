"""The settings of privacy and retention."""
