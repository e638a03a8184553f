"""Tests of what is stored about people who were erased."""
