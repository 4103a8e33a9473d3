"""`make bench` works from end to end; how fast anything is, is not tested here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.page import Section, Target, page, table
from tests.bench.stats import figures, ratio
from tests.support.tools import ROOT, need

SECTIONS = [
    "Where",
    "Targets",
    "Each encoding",
    "The engine beside the bare interpreter",
    "Runtimes side by side",
    "File close to PUBACK",
    "Throughput",
    "Start and memory",
    "Backlog",
    "A longer backlog",
]


@pytest.mark.slow
def test_a_quick_run_writes_the_whole_page(tmp_path: Path) -> None:
    for tool, package in (
        ("mosquitto", "mosquitto"),
        ("dcmconv", "dcmtk"),
        ("gdcmconv", "libgdcm-tools"),
    ):
        need(tool, package)
    command = [
        sys.executable,
        "-m",
        "tests.bench",
        "--quick",
        "--out",
        str(tmp_path / "benchmarks.md"),
    ]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    text = (tmp_path / "benchmarks.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    targets = re.search(r"## Targets\n(.*?)\n## ", text, re.DOTALL)
    assert targets is not None
    assert len(re.findall(r"\| (?:\*\*not )?met", targets.group(1))) == 8
    assert "its figures say nothing" in text
    for row in (
        "| RLE Lossless |",
        "| JPEG 2000, lossless |",
        "| PNG, 16 bits |",
        "| float | 2 |",
        "| int8 | 1 |",
        "| worker 1 |",
    ):
        assert row in text
    assert "nan" not in text


def test_figures_are_median_and_range() -> None:
    assert str(figures([3.0, 1.0, 2.0])) == "2.0 (1.0 to 3.0)"
    assert figures([float(value) for value in range(101)]).percentile(95) == 95
    assert str(ratio([2.0, 9.0, 4.0], [1.0, 3.0, 2.0], 1)) == "2.0 (2.0 to 3.0)"


def test_each_target_has_a_row_that_says_met_or_not_and_what_limits_it() -> None:
    targets = tuple(
        Target("memory", "flat", found, met=met, limit="the disk")
        for found, met in (("flat", True), ("grows", False))
    )
    text = page([("machine", "one")], [Section("Memory", "text", targets)], ["Made in a hurry"])
    assert "| memory | flat | flat | met | the disk |" in text
    assert "| memory | flat | grows | **not met** | the disk |" in text
    assert "**Made in a hurry**" in text
    assert table(("a", "b"), [(1, 2)]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
