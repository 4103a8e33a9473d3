"""Run a Debian machine with a real systemd in a container, in a network namespace of its own."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from tests.support.tools import ROOT, need

SUITE: Final = os.environ.get("SUITE", "bookworm")
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,python3-venv,udev,procps,libstdc++6,openssl"
CACHE: Final = ROOT / ".cache" / "system"
BROKER: Final = "10.77.0.1"
DEVICE: Final = "10.77.0.2"
ENVIRONMENT: Final = [
    "env",
    "-i",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "SYSTEMD_PAGER=",
]
NSPAWN: Final = (
    "systemd-nspawn",
    "-q",
    "--register=no",
    "--keep-unit",
    "--resolv-conf=off",
    "--boot",
    "--console=pipe",
)
PATIENCE_S: Final = 240.0
BROWSE: Final = """
import sys
from http.client import HTTPConnection
here = HTTPConnection("127.0.0.1", 8323, timeout=120)
def ask(method, path, body=None, cookie=""):
    here.request(method, path, body, {"Cookie": cookie})
    answer = here.getresponse()
    return answer.status, answer.getheader("set-cookie") or "", answer.read().decode()
print(ask("GET", "/")[0])
status, cookie, _ = ask("POST", "/enter", "secret=" + sys.argv[1])
status, _, shown = ask("GET", "/", cookie=cookie.partition(";")[0])
print(status, sys.argv[2] in shown, "No running daemon answers" in shown)
"""
"""A browser that comes in by a token and looks for a text on the worklist."""


def until(
    true: Callable[[], object],
    what: str,
    words: Callable[[], str] = str,
    timeout_s: float = PATIENCE_S,
) -> None:
    """Wait until a condition holds; if it never does, fail and say why."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}\n{words()}"
        time.sleep(0.1)


def run(*command: object, timeout_s: float = 300.0) -> str:
    """Run a program that must succeed; returns its output."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=timeout_s
    )
    assert done.returncode == 0, (
        f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


def root_file_system(more: str = "") -> Path:
    """Make a minimal Debian, once for each suite and list of packages."""
    need("mmdebstrap", "mmdebstrap")
    packages = ",".join(filter(None, (PACKAGES, more)))
    tree = CACHE / f"{SUITE}-{hashlib.sha256(packages.encode()).hexdigest()[:16]}"
    if not tree.is_dir():
        part = tree.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={packages}",
            SUITE,
            part,
            timeout_s=900,
        )
        part.rename(tree)
    return tree


def wheels() -> Path:
    """
    Download the libraries of the locks with the extras `fast`, `dicom` and `page`, and those that
    build ours, once for each lock.
    """
    locks = [ROOT / f"requirements/{name}.txt" for name in ("litert-fast", "dicom", "page")]
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    folder = CACHE / f"wheels-{SUITE}-{digest[:16]}"
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        minor, glibc = {"bookworm": ("3.11", 36), "trixie": ("3.13", 41)}[SUITE]
        tags = (
            "manylinux2014_x86_64",
            *(f"manylinux_2_{old}_x86_64" for old in range(17, glibc + 1)),
        )
        python = (
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={minor}",
            *(f"--platform={tag}" for tag in tags),
        )
        download = (sys.executable, "-m", "pip", "download", "--quiet", *python, "--dest", part)
        for lock in locks:
            run(*download, "--no-deps", "--require-hashes", "-r", lock, timeout_s=600)
        run(*download, "setuptools>=77", "wheel")
        part.rename(folder)
    return folder


def checkout(target: Path) -> None:
    """Copy the files of this checkout that git knows, as they are now."""
    names = run("git", "-C", ROOT, "ls-files", "-z").split("\0")
    for name in filter(None, names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


class Machine:
    """
    The container; its tree lies over the cached one, so that every run begins with a fresh machine.

    Args:
        folder: for the tree's upper half and the console.
        namespace: its network.
        hosts: further lines of `/etc/hosts`.
        more: Debian packages that are on it, with commas between them.
    """

    def __init__(self, folder: Path, namespace: str, hosts: str = "", more: str = "") -> None:
        self.root = folder / "root"
        self._hosts = hosts
        self._more = more
        self._folder = folder
        self.namespace = namespace
        self._nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        upper, work = self._folder / "upper", self._folder / "work"
        for path in (upper, work, self.root):
            path.mkdir(parents=True)
        layers = f"lowerdir={root_file_system(self._more)},upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        (self.root / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n{BROKER} broker.test\n{DEVICE} device\n{self._hosts}"
        )
        self._boot()
        return self

    def _boot(self) -> None:
        with (self._folder / "console.log").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [
                    *NSPAWN,
                    f"--network-namespace-path=/run/netns/{self.namespace}",
                    "-D",
                    str(self.root),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        until(
            lambda: (
                self._leader()
                and self.ask("systemctl", "is-system-running") in {"running", "degraded"}
            ),
            "booted",
            self._console,
        )

    def __exit__(self, *_: object) -> None:
        if self._nspawn is not None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(120)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        subprocess.run(["umount", "-l", self.root], check=False)
        names = ("payload", "supervisor", "*/payload", "*/supervisor")
        left_over = [path for name in names for path in Path("/sys/fs/cgroup").glob(name)]
        if left_over:  # nspawn's own; rmdir takes only empty ones
            subprocess.run(
                ["find", *left_over, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"],
                check=False,
                capture_output=True,
            )

    def _leader(self) -> str:
        """Find the container's process 1, by the host's numbers."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._console()
        found = subprocess.run(
            ["pgrep", "-P", str(self._nspawn.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        return found[0] if found else ""

    def _console(self) -> str:
        return (self._folder / "console.log").read_text(errors="replace")[-3000:]

    def inside(self, *command: object) -> list[str]:
        """Give the command of the host that runs a program inside, as root."""
        return [
            "nsenter",
            "-t",
            self._leader(),
            "-m",
            "-p",
            "-u",
            "-i",
            "-n",
            "-C",
            "--",
            *ENVIRONMENT,
            *map(str, command),
        ]

    def run(self, *command: object) -> str:
        """Run a program inside, as root; it must succeed."""
        return run(*self.inside(*command))

    def beside(self, *command: object) -> str:
        """Run a program of the host in the container's network; it must succeed."""
        return run("ip", "netns", "exec", self.namespace, *command)

    def tries(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run a program inside that may fail."""
        return subprocess.run(
            self.inside(*command), capture_output=True, text=True, check=False, timeout=300
        )

    def ask(self, *command: object) -> str:
        """Run a program and return its output as one line, whatever its exit status."""
        return self.tries(*command).stdout.strip()

    def shown(self, property_: str, unit: str = "mammo-edge") -> str:
        """Give a property of a unit."""
        return self.ask("systemctl", "show", "--value", "-p", property_, unit)

    def journal(self, unit: str = "mammo-edge") -> str:
        """Give the journal of a unit."""
        return self.ask("journalctl", "-u", unit, "-o", "cat", "--no-pager")

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a file into the container's tree."""
        path = self.root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)

    def status(self) -> dict[str, Any]:
        """Give the answer of `mammo-edge status --json`."""
        report: dict[str, Any] = json.loads(self.run("mammo-edge", "status", "--json"))
        return report
