"""What is done with rows once they are received, by a process of its own."""
