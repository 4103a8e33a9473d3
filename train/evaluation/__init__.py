"""Measurements on patients never trained on."""
