"""Statistics with intervals over patients."""
