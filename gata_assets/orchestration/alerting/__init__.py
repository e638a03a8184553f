"""Alerts of failed runs and of overdue batches."""
