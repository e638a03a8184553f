"""Webhooks: who is registered, by which secrets their requests are signed, and what is read of them."""
