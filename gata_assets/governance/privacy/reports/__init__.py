"""What became of a request, for whoever asked and for an auditor."""
