"""Checks of the machine, the broker and the service around the daemon."""
