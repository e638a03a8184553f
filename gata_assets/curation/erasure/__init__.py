"""Removes rows of erased people from raw files, staged parts, quarantine and curated tables; all others stay."""
