"""Servers as processes that end together."""
