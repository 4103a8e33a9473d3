"""The daemon's state, told to systemd, MQTT, Prometheus and Home Assistant."""
