"""Configuration keys, their loading and their example file."""
