"""The ticket domain: closed support tickets to training files."""
