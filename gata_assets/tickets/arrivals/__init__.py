"""Which batches new, changed and deleted tickets ask for."""
