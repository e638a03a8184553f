"""What a table is: specifications, checks against them, outcomes, manifests and row checksums. Pure."""
