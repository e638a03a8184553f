"""How good a tenant's tables are, from what reports and manifests know: measures, and their metrics."""
