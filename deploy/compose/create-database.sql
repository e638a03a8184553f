-- Run once by the database's image: the ticket database, beside the one that Dagster keeps its runs in.
CREATE DATABASE gata;
