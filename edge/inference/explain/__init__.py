"""Pictures of one examination, for `classify --explain`."""
