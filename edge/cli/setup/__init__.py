"""`mammo-edge setup`: the first configuration of a device, and later changes."""
