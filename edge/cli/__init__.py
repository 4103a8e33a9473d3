"""The commands of `mammo-edge`, one module each."""
