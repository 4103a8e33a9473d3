"""
Collect these tests in `make system-test` and `make container-test` only.

They need root, a Debian package and some minutes.
"""

import os

collect_ignore_glob = [] if os.environ.get("MAMMO_SYSTEM_TEST") == "1" else ["test_*.py"]
collect_ignore = [] if os.environ.get("MAMMO_CONTAINER_TEST") == "1" else ["test_container.py"]
