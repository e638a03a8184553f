"""Files of a directory that is an object store."""
