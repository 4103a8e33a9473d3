"""A package has its name once it is whole, and whoever waits for it sees how far it is."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.terminal import Terminal
from tests.support.tools import ROOT, need

PACK: Final = ROOT / "deploy/scripts/pack-deb"
CONTROL: Final = (
    "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: m <m@localhost>\nDescription: d\n"
)
LONG: Final = 2**35
"""Bytes, none of them on the disk, that no machine packs within a test."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    need("dpkg-deb", "dpkg")
    made = tmp_path / "tree"
    (made / "DEBIAN").mkdir(parents=True)
    (made / "DEBIAN/control").write_text(CONTROL)
    (made / "DEBIAN").chmod(0o755)
    (made / "file").write_bytes(b"film")
    return made


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    return folder / "p_1_all.deb"


def test_a_package_is_what_dpkg_deb_makes_of_the_tree(tree: Path, package: Path) -> None:
    variables = {**os.environ, "SOURCE_DATE_EPOCH": "1"}
    direct = package.with_name("direct.deb")
    build = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", str(tree), str(direct)]
    for command in ([str(PACK), str(tree), str(package)], build):
        subprocess.run(command, check=True, capture_output=True, env=variables, timeout=120)
    assert package.read_bytes() == direct.read_bytes()
    assert sorted(package.parent.iterdir()) == [direct, package]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_midway_leaves_the_old_package_and_no_half_one(
    tree: Path, package: Path, how: signal.Signals
) -> None:
    package.write_text("the old one")
    os.truncate(tree / "file", LONG)
    with subprocess.Popen(
        ["env", "--default-signal", PACK, tree, package],  # INT is ignored in the background
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "EVERY": "0"},
        start_new_session=True,
    ) as packing:
        assert packing.stdout is not None
        assert packing.stdout.readline() == f"packing {LONG // 2**20} MiB ...\n"
        told = next(line for line in packing.stdout if not line.startswith("0 %"))
        assert re.fullmatch(r"\d+ % read after \d+ s\n", told)
        assert package.with_name("p_1_all.deb.part").exists()
        os.killpg(packing.pid, how)
        packing.stdout.read()  # to the end: nothing that it began goes on
    assert packing.returncode == 128 + how
    assert [path.name for path in package.parent.iterdir()] == [package.name]
    assert package.read_text() == "the old one"


def test_on_a_terminal_one_line_changes(tree: Path, package: Path) -> None:
    os.truncate(tree / "file", LONG)
    with Terminal(PACK, tree, package) as terminal:
        terminal.until(" % read after 2 s\x1b[K\r")
        assert terminal.interrupted() == 130
    assert "s\r\n" not in terminal.said.partition("...")[2]
    assert list(package.parent.iterdir()) == []


def test_a_tree_that_dpkg_deb_refuses_leaves_nothing(tree: Path, package: Path) -> None:
    (tree / "DEBIAN/control").write_text("no control file")
    done = subprocess.run(
        [PACK, tree, package], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode not in {0, None}
    assert "control" in done.stderr
    assert list(package.parent.iterdir()) == []


def test_the_build_packs_in_no_other_way() -> None:
    build = PACK.with_name("build-deb").read_text()
    assert "deploy/scripts/pack-deb " in build
    assert "dpkg-deb" not in build
