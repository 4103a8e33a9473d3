"""The configuration: keys, loading, credentials and the example file."""
