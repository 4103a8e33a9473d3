"""Commands to a running daemon, over a Unix socket and over MQTT."""
