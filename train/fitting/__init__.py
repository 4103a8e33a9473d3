"""Training, from prepared films to weights."""
