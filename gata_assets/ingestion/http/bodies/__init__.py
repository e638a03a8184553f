"""Bodies of requests: read up to a limit, rows of JSON as lines, files out of multipart."""
