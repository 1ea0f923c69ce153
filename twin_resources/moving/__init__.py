"""Moving an author from one database to another while the twin serves."""
