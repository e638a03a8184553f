"""Masking of personal data: card numbers, e-mail addresses, phone numbers, and tokens in place of values."""
