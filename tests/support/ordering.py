"""Run what takes longest first: a long file at the end would leave the other cores idle."""

from typing import Final

import pytest

LONG: Final = (
    "tests/torture/test_short.py",
    "tests/train/fitting/test_resume.py",
    "tests/e2e/test_faults.py",
    "tests/train/test_notebook.py",
    "tests/repository/test_bench_harness.py",
    "tests/train/exporting",
    "tests/torture",
    "tests/train/recalibration",
    "tests/e2e",
    "tests/train/fitting",
    "tests/repository/test_wheel.py",
    "tests/edge/dicom",
    "tests/edge/contract",
    "tests/train",
)
"""Files and folders, the longest first, those that wait mixed with those that compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; the tests of a file stay as they are written."""
    items.sort(key=lambda item: place(item.nodeid))


def place(test: str) -> int:
    """Find the place of a test in LONG, or the one after the last."""
    return next((number for number, name in enumerate(LONG) if test.startswith(name)), len(LONG))
