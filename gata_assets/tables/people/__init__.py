"""What is kept of people who were erased."""
