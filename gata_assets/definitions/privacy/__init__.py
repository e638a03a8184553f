"""What is erased and exported of people for these settings."""
