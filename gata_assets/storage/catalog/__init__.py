"""The catalog of tables that readers use: which files a table, or a partition of it, consists of at the moment."""
