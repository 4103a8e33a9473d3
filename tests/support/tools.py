"""Name the folders of the repository, and find the system tools of a test."""

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
    """Find a system tool, or skip the test, visibly, with the line that installs the tool."""
    path = find_mosquitto() if tool == "mosquitto" else shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is missing: {INSTALL}{package}")
    return path


def need_root() -> None:
    """Skip the test, visibly, unless root runs it: only root can become another user."""
    if os.geteuid() != 0:
        pytest.skip("it is not run by root, who alone can become another user")
