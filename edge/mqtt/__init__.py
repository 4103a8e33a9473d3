"""The one connection to the broker."""

import logging

# Commands say in a sentence of their own what happened; only a service, which has handlers, logs.
logging.getLogger(__name__).addHandler(logging.NullHandler())
