"""What is looked at while an adapter is trained: what it writes, and what it recites."""
