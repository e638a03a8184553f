"""Tests of curated tables of any kind."""
