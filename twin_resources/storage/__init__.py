"""What is stored, one class a subject."""
