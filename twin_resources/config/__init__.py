"""``twin.yaml`` and the environment."""
