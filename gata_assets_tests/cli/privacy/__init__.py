"""Tests of the commands about people."""
