"""What is owed to others, over specs and manifests: it knows no domain by name."""
