"""What is there of an author, in pages: documents with what became of them, quarantine."""
