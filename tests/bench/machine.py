"""Describe the machine of a run."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.demo.brokers import find_mosquitto
from edge.cli.bench import Bench

PACKAGES: Final = (
    "ai-edge-litert",
    "tflite-runtime",
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
    "pydicom",
    "imagecodecs",
    "pylibjpeg-rle",
    "pylibjpeg-openjpeg",
    "python-gdcm",
    "paho-mqtt",
)


IDLE: Final = 0.5
"""The highest load average of a machine that does nothing else."""


def busy() -> str | None:
    """Warn if the machine has other work; None if it has not."""
    load = os.getloadavg()[0]
    if load <= IDLE:
        return None
    return (
        f"Made while the machine had other work (load average {load:.1f}): take "
        "no figure from here, make it again when it is idle."
    )


def facts(loaded: Bench) -> list[tuple[str, str]]:
    """List names and values for the first table of the page."""
    found = [(name, _version(name)) for name in PACKAGES]
    memory = int(
        next(
            line
            for line in Path("/proc/meminfo").read_text().splitlines()
            if line.startswith("MemTotal")
        ).split()[1]
    )
    return [
        ("when", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        *loaded.machine.items(),
        ("memory", f"{memory / 2**20:.0f} GiB"),
        (
            "load average at the start",
            (
                f"{os.getloadavg()[0]:.2f}: more than about 0.3 is somebody "
                "else's work, and the figures are higher for it"
            ),
        ),
        ("packages", ", ".join(f"{name} {version}" for name, version in found if version)),
        ("broker", _mosquitto()),
        ("C library", " ".join(platform.libc_ver())),
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _mosquitto() -> str:
    program = find_mosquitto()
    if program is None:
        return "none"
    return subprocess.run(
        [program, "-h"], capture_output=True, text=True, check=False
    ).stdout.partition("\n")[0]
