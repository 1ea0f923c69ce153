"""What people and language models said of samples, kept over all dataset versions."""
