"""
`make system-test` alone runs these: they need root, a Debian package and two minutes. `make
container-test` is slower on the disk.
"""

import os

collect_ignore_glob = [] if os.environ.get("MAMMO_SYSTEM_TEST") == "1" else ["test_*.py"]
collect_ignore = [] if os.environ.get("MAMMO_CONTAINER_TEST") == "1" else ["test_container.py"]
