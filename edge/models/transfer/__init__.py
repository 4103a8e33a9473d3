"""Bundles sent through the broker."""
