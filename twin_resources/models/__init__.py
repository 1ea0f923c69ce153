"""Finding models by name, and computing with causal language models."""
