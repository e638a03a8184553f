"""Raw files to valid rows and quarantine, for any table specification."""
