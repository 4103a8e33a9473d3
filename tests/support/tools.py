"""Paths of the repository, and system tools that a test needs."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import find_mosquitto

ROOT: Final = Path(__file__).parent.parent.parent
DATA: Final = ROOT / "tests" / "data"
INSTALL: Final = "sudo apt install "


def need(tool: str, package: str) -> str:
    """
    Path of a system tool; without it the test is skipped, visibly, with the line that installs it.
    """
    path = find_mosquitto() if tool == "mosquitto" else shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is missing: {INSTALL}{package}")
    return path


def need_root() -> None:
    """Only root can become another user; for anyone else the test is skipped, visibly."""
    if os.geteuid() != 0:
        pytest.skip("it is not run by root, who alone can become another user")
