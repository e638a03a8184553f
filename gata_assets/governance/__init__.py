"""What is owed to others: over specs and manifests, for any table."""
