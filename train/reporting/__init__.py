"""The reports and the model card."""
