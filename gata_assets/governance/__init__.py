"""What governs data over specs and manifests, whatever the domain: retention."""
