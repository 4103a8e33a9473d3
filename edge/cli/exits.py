"""Exit statuses of `mammo-edge`; 0 is success, and argparse ends with 2 after wrong usage."""

from typing import Final

FAILED: Final = 1
CONFIG: Final = 78
"""Configuration or model is unusable: systemd's units do not restart after this status."""
INTERRUPTED: Final = 130
"""The status that shells give a program ended by SIGINT."""
