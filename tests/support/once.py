"""Share what takes long to make between the processes of one test run."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """
    Give a folder that the first process of the run makes; the others wait for it.

    Nobody may write into it. A folder whose making failed is made anew by whoever comes next.

    Args:
        factory: knows the temporary folder of the run.
        name: of the folder.
        make: fills the folder, which is there and empty.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker has a folder in that of the run
    made, whole = folder / name, folder / f"{name}-whole"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            whole.touch()
    return made
