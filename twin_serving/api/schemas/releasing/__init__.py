"""Adapter versions and what readers make of them, as the API tells them."""
