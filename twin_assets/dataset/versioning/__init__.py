"""Versions of datasets: whether one is due, and what stands with it."""
