"""From a question to an answer that keeps to passages; serving and evaluation run this."""
