"""Where an author's work comes from: one module a platform."""
