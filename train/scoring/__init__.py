"""Scores of a model file, calibrated and gated."""
