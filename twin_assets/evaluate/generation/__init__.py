"""The report on an adapter: what models make of text and questions that no training saw."""
