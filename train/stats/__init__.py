"""The statistics, with intervals over patients."""
