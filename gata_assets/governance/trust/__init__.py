"""Whether the target still has what its manifests and reports say."""
