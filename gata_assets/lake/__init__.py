"""The ticket lake: exports of a helpdesk to rows for analysts, training files and applications."""
