"""The calibration of a bundle on a site's own mammograms."""
