"""What was found out about training."""
