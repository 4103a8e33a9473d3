"""Reports and the model card."""
