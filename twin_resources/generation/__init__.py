"""Language models that write: one interface, one file an engine."""
