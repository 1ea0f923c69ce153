"""What calls of the API leave behind: who asked what and how it went, and the answers of writes for repetitions."""
