"""What a table says of JSON: columns that keep its values, and documents that have rows as a list of theirs."""
