"""What is stored about people who were erased."""
