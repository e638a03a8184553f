"""Batch requests for new, changed and deleted tickets."""
