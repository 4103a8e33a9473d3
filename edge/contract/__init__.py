"""Published messages as models."""
