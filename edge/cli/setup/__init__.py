"""First configuration of a device."""
