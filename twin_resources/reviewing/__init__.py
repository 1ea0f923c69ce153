"""Reviewing the samples of a dataset version: what is shown, and what becomes of an edit."""
