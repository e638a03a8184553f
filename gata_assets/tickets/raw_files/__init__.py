"""Raw files of tickets: their rows as rows of the ticket table, and the embedded store that they fill."""
