"""
Try everything that the sandbox must deny, in place of the daemon and under its unit.

It prints the outcomes as one JSON line.
"""

import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path


def tried(act: Callable[[], object]) -> str:
    """Try an action; returns `done`, or the name of the error that stopped it."""
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"


def system_call(number: int, *arguments: int) -> None:
    """Make a system call of x86-64 by its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def make_set_user_id_file() -> None:
    """Make a program that would run as its owner."""
    path = Path("/var/lib/mammo-edge/.suid")
    path.touch()
    path.chmod(0o4755)


TRIES: dict[str, Callable[[], object]] = {
    "write /etc": lambda: Path("/etc/mammo-edge/edge.toml").write_text("x"),
    "write /usr": lambda: Path("/usr/x").write_text("x"),
    "write /opt": lambda: Path("/opt/mammo-edge/x").write_text("x"),
    "write /srv": lambda: Path("/srv/mammo-edge/spool/.probe").write_text("x"),
    "write state": lambda: Path("/var/lib/mammo-edge/.probe").write_text("x"),
    "read /root": lambda: list(Path("/root").iterdir()),
    "read the password": lambda: Path("/etc/mammo-edge/mqtt.password").read_text(),
    "read the credential": lambda: Path(
        os.environ["CREDENTIALS_DIRECTORY"], "mqtt-password"
    ).read_text(),
    "see process 1": lambda: Path("/proc/1/cmdline").read_bytes(),
    "read /proc/cpuinfo": lambda: Path("/proc/cpuinfo").read_text(),
    "change a kernel setting": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
    "write a cgroup": lambda: Path("/sys/fs/cgroup/x").mkdir(),
    "open a disk": lambda: os.open("/dev/loop0", os.O_RDONLY),
    "raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "become root": lambda: os.setuid(0),
    "set-user-id file": make_set_user_id_file,
    "mount": lambda: system_call(165, 0, 0, 0, 0, 0),
    "new user namespace": lambda: system_call(272, 0x10000000),
    "trace a process": lambda: system_call(101, 16, 1, 0, 0),
    "load a module": lambda: system_call(313, 0, 0, 0),
    "writable code": lambda: mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ),
}

sys.stdout.write(json.dumps({name: tried(act) for name, act in TRIES.items()}) + "\n")
