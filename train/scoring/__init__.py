"""The scores of a model file, calibrated and gated."""
