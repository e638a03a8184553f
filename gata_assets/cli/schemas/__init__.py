"""`gata schemas`: the Avro schemas of tables, shown, checked and registered."""
