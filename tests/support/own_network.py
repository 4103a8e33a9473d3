"""A network namespace in which nothing but this machine's loopback is, for servers that listen."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def own_network() -> Iterator[list[str]]:
    """Give the words before a command that run it in there; skip, visibly, if that is forbidden."""
    user = [] if os.geteuid() == 0 else ["--user"]
    unshare = ["unshare", *(["--map-root-user"] if user else []), "--net"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here: run it as root")
    up = "ip link set lo up && echo up && exec cat"
    with subprocess.Popen(
        [*unshare, "sh", "-c", up], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        kept = ["--preserve-credentials"] if user else []
        yield ["nsenter", f"--target={holder.pid}", *user, *kept, "--net"]
        holder.stdin.close()
