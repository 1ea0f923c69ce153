"""What goes in and comes out of each call; the OpenAPI document is made of these."""
