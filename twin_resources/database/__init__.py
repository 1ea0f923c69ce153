"""The Postgres server, its tables and their migrations."""
