"""What makes samples: instruct samples by rules or with a language model, questions for search, preference pairs."""
