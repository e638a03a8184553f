"""Tests of the documentation: commands, snippets, reference pages, links and the site."""
