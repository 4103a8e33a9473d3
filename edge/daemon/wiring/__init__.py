"""Composition: which object gets which, one module a concern."""
