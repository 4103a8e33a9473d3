"""The worker process: bytes to an outcome; shared with training."""
