"""How an author writes, measured: who wrote a text, by its grammar and habits rather than by its topic."""
