"""
The page for browsers: a process of its own, which nothing but its command imports.

It reads the ledger and asks the daemon's socket how it is. It opens no film, speaks no MQTT and
changes nothing.
"""
