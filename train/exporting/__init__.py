"""The way from a trained network to a bundle."""
