"""Activation, trial, shadow and fallback of models in a running daemon."""
