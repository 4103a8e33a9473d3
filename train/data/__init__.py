"""Data sets, splits and prepared films."""
