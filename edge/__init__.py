"""
An inference daemon for mammography at the edge: mammo-edge.

Research software, not a medical device.
"""

from typing import Final

__version__: Final = "0.2.0"

NOTICE: Final = "Research software, not a medical device. Not for diagnosis or treatment."
