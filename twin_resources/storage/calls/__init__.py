"""What calls of the API leave behind: the answers of writes, kept for repetitions."""
