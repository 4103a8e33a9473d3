"""The Debian package's scripts as dpkg calls them, below a folder of the test's own, with a systemctl that only notes."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

SCRIPTS: Final = ROOT / "deploy/deb"
RUNNING: Final = "mammo-edge.service loaded active running x\nmammo-edge@left.service loaded active running x\n"
TOOLS: Final = ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm")


class Package:
    """An installed package whose two services run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        for folder in ("run/systemd/system", "etc/mammo-edge", "opt", "bin"):
            (root / folder).mkdir(parents=True)
        (root / "etc/mammo-edge/edge.toml").touch()
        for tool in TOOLS:
            (root / "bin" / tool).write_text(
                f'#!/bin/sh\necho "{tool} $*" >> {self.log}\n[ "$1" != list-units ] || cat {root / "running"}\n'
            )
            (root / "bin" / tool).chmod(0o755)
        (root / "running").write_text(RUNNING)

    def call(self, script: str, *words: str) -> str:
        """Run one script; returns what it told systemctl."""
        self.log.write_text("")
        text = (SCRIPTS / script).read_text()
        text = re.sub(r"(?m)(^| )/(?=(run|etc|opt|srv|var|usr)/)", rf"\1{self.root}/", text)
        command = ["sh", "-c", text.partition("\n")[2], script, *words]
        subprocess.run(command, check=True, capture_output=True, env={"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"})
        (self.root / "running").write_text("" if script == "prerm" else RUNNING)
        return self.log.read_text()


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


STARTED: Final = "systemctl start mammo-edge.service\nsystemctl start mammo-edge@left.service\n"


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        (("upgrade", "2"), ("upgrade", "2"), ("configure", "1")),
        (("upgrade", "2"), ("abort-upgrade", "1"), ("abort-upgrade", "2")),
        (("remove",), None, ("abort-remove",)),
        (("deconfigure", "in-favour", "x", "1"), None, ("abort-deconfigure", "in-favour", "x", "1")),
    ],
)
def test_what_dpkg_had_stopped_runs_again_whether_it_went_on_or_gave_up(
    package: Package, before: tuple[str, ...], between: tuple[str, ...] | None, after: tuple[str, ...]
) -> None:
    assert "systemctl stop mammo-edge.service mammo-edge@left.service" in package.call("prerm", *before)
    if between:
        package.call("postrm", *between)
    assert STARTED in package.call("postinst", *after)
    assert "start" not in package.call("postinst", *after)


def test_a_package_that_was_removed_and_comes_back_starts_nothing(package: Package) -> None:
    package.call("prerm", "remove")
    package.call("postrm", "remove")
    assert "systemctl start" not in package.call("postinst", "configure", "")


def test_an_accelerator_that_was_plugged_in_before_gets_its_rights(package: Package) -> None:
    assert "udevadm trigger --action=change --subsystem-match=usb" in package.call("postinst", "configure", "")
