"""Tests of erasing people everywhere."""
