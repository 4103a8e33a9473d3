"""
The Debian package's scripts as dpkg calls them, and install.sh, below a folder of the test's own,
with a systemctl that only notes.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.tools import ROOT

DEPLOY: Final = ROOT / "deploy"
RUNNING: Final = (
    "mammo-edge.service loaded active running x\nmammo-edge@left.service loaded active running x\n"
)
TOOLS: Final = ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm")


class Package:
    """An installed package whose two services run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        for folder in ("run/systemd/system", "etc/mammo-edge", "opt", "bin", "usr/local/bin"):
            (root / folder).mkdir(parents=True)
        (root / "etc/mammo-edge/edge.toml").touch()
        for tool in TOOLS:
            self.tool(
                tool,
                f'echo "{tool} $*" >> {self.log}\n[ "$1" != list-units ] || cat {root / "running"}',
            )
        (root / "running").write_text(RUNNING)

    def tool(self, name: str, text: str) -> None:
        """Put a program into the path."""
        path = self.root / name if "/" in name else self.root / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def call(self, script: str, *words: str, status: int = 0, **variables: str) -> str:
        """Run one script; returns what it told systemctl."""
        self.log.write_text("")
        text = (DEPLOY / script).read_text()
        text = re.sub(r"(?<![\w./])/(?=(run|etc|opt|srv|var|usr)\b)", f"{self.root}/", text)
        command = ["sh", "-c", text.partition("\n")[2], str(DEPLOY / script), *words]
        environ = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", **variables}
        done = subprocess.run(
            command, check=False, capture_output=True, env=environ, cwd=self.root / "opt"
        )
        assert done.returncode == status, done.stderr
        (self.root / "running").write_text("" if script == "debian/prerm" else RUNNING)
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
        (
            ("deconfigure", "in-favour", "x", "1"),
            None,
            ("abort-deconfigure", "in-favour", "x", "1"),
        ),
    ],
)
def test_what_dpkg_had_stopped_runs_again_whether_it_went_on_or_gave_up(
    package: Package,
    before: tuple[str, ...],
    between: tuple[str, ...] | None,
    after: tuple[str, ...],
) -> None:
    assert "systemctl stop mammo-edge.service mammo-edge@left.service" in package.call(
        "debian/prerm", *before
    )
    if between:
        package.call("debian/postrm", *between)
    assert STARTED in package.call("debian/postinst", *after)
    assert "start" not in package.call("debian/postinst", *after)


@pytest.mark.parametrize("unit", ["mammo-edge-dicom.service", "mammo-edge-page.service"])
def test_an_upgrade_of_the_daemon_alone_stops_and_starts_receiver_and_page_too(
    package: Package, unit: str
) -> None:
    (package.root / "running").write_text(f"{unit} loaded active running x\n")
    stopped = package.call("debian/prerm", "upgrade", "2")
    assert re.search(rf"list-units .* {unit}\b", stopped)
    assert f"systemctl stop {unit}" in stopped
    assert f"start {unit}" in package.call("debian/postinst", "configure", "1")


def test_a_package_that_was_removed_and_comes_back_starts_nothing(package: Package) -> None:
    package.call("debian/prerm", "remove")
    package.call("debian/postrm", "remove")
    assert "systemctl start" not in package.call("debian/postinst", "configure", "")


@pytest.mark.parametrize("name", ["dicom", "page"])
def test_a_package_beside_starts_again_what_it_stopped_and_nothing_else(
    package: Package, name: str
) -> None:
    started = f"systemctl start mammo-edge-{name}.service"
    stopped = package.call(f"debian/{name}/prerm", "upgrade", "2")
    assert f"systemctl stop mammo-edge-{name}.service" in stopped
    assert "disable" not in stopped
    package.call(f"debian/{name}/postrm", "upgrade", "2")
    assert started in package.call(f"debian/{name}/postinst", "configure", "1")
    assert f"disable mammo-edge-{name}.service" in package.call(f"debian/{name}/prerm", "remove")
    package.call(f"debian/{name}/postrm", "remove")
    assert started not in package.call(f"debian/{name}/postinst", "configure", "")


def test_who_purges_the_page_s_package_takes_what_opens_the_page(package: Package) -> None:
    state = package.root / "var/lib/mammo-edge"
    state.mkdir(parents=True)
    for name in ("page.token", "page.password", "ledger.sqlite3"):
        (state / name).touch()
    package.call("debian/page/postrm", "remove")
    assert len(list(state.iterdir())) == 3
    package.call("debian/page/postrm", "purge")
    assert [path.name for path in state.iterdir()] == ["ledger.sqlite3"]


def test_an_accelerator_that_was_plugged_in_before_gets_its_rights(package: Package) -> None:
    assert "udevadm trigger --action=change --subsystem-match=usb" in package.call(
        "debian/postinst", "configure", ""
    )


class Checkout:
    """
    What install.sh finds: a Python whose environments have a pip that only notes what it is to
    install, and a program.
    """

    def __init__(self, package: Package) -> None:
        self.venv = package.root / "opt/mammo-edge/venv"
        self.pip = package.root / "pip"
        package.tool("id", "echo 0")
        package.tool("dpkg-query", "exit 1")
        made = package.root / "made"
        package.tool(
            "made/bin/python",
            f'case "$2" in pip) echo "$*" >> {self.pip};; compileall) ;; '
            f'*) exec {sys.executable} "$@";; esac',
        )
        (made / "bin/mammo-edge").write_text("#!@/bin/python\n")
        package.tool(
            "python3",
            f'[ "$2" != venv ] || {{ mkdir -p "$3"; cp -r {made}/. "$3"; '
            'sed -i "s|@|$3|" "$3/bin/mammo-edge"; }',
        )


def test_an_upgrade_from_a_checkout_that_fails_leaves_services_and_environment_as_they_were(
    package: Package,
) -> None:
    checkout = Checkout(package)
    package.call("scripts/install.sh")
    (checkout.venv / "old").touch()
    package.tool("made/bin/python", "exit 1")  # the index does not answer
    said = package.call("scripts/install.sh", status=1)
    assert "systemctl stop" not in said
    assert (checkout.venv / "old").exists()


def test_an_upgrade_from_a_checkout_stops_what_runs_and_starts_it_again(package: Package) -> None:
    Checkout(package)
    said = package.call("scripts/install.sh")
    assert said.index("systemctl stop mammo-edge.service mammo-edge@left.service\n") < said.index(
        "systemctl daemon-reload"
    )
    assert said.endswith("systemctl start mammo-edge.service mammo-edge@left.service\n")


@pytest.mark.parametrize("tool", ["systemctl", "rm", "systemd-sysusers"])
def test_an_upgrade_that_is_ended_in_the_change_over_starts_what_ran_and_leaves_an_environment(
    package: Package, tool: str
) -> None:
    checkout = Checkout(package)
    package.call("scripts/install.sh")
    usual = package.root / "bin" / tool
    usual = usual.rename(package.root / tool) if usual.exists() else Path(shutil.which(tool) or "")
    package.tool(
        tool,
        f'{usual} "$@"; [ "$1" = start ] || ! grep -q "^systemctl '
        f'stop" {package.log} || kill $PPID',
    )
    assert package.call("scripts/install.sh", status=1).endswith(
        "systemctl start mammo-edge.service mammo-edge@left.service\n"
    )
    assert (checkout.venv / "bin/mammo-edge").exists()


@pytest.mark.parametrize("left", ["venv", "venv.new", "venv.old"])
def test_an_environment_that_an_interrupted_installation_left_is_made_anew(
    package: Package, left: str
) -> None:
    checkout = Checkout(package)
    package.tool(f"opt/mammo-edge/{left}/bin/python", "exit 1")
    package.call("scripts/install.sh")
    assert (checkout.venv / "bin/mammo-edge").read_text() == f"#!{checkout.venv}/bin/python\n"
    assert (package.root / "usr/local/bin/mammo-edge").resolve() == checkout.venv / "bin/mammo-edge"
    assert [path.name for path in checkout.venv.parent.iterdir()] == ["venv"]


def test_the_extra_fast_comes_where_it_is_asked_for_and_stays(package: Package) -> None:
    checkout = Checkout(package)
    for asked, lock in (("", "litert.txt"), ("0", "litert.txt"), ("1", "litert-fast.txt")):
        package.call("scripts/install.sh", FAST=asked)
        assert f"requirements/{lock}" in checkout.pip.read_text()
        checkout.pip.unlink()
    (checkout.venv / "lib/python3.11/site-packages/imagecodecs").mkdir(parents=True)
    package.call("scripts/install.sh")
    assert "requirements/litert-fast.txt" in checkout.pip.read_text()


@pytest.mark.parametrize(("extra", "library"), [("dicom", "pynetdicom"), ("page", "starlette")])
def test_an_extra_comes_with_its_service_where_it_is_asked_for_and_stays(
    package: Package, extra: str, library: str
) -> None:
    made: dict[str, Callable[[str], str]] = {
        "dicom": lambda asked: package.call("scripts/install.sh", DICOM=asked),
        "page": lambda asked: package.call("scripts/install.sh", PAGE=asked),
    }
    install = made[extra]
    checkout = Checkout(package)
    unit = package.root / f"etc/systemd/system/mammo-edge-{extra}.service"
    for asked in ("", "0"):
        install(asked)
        assert f"requirements/{extra}.txt" not in checkout.pip.read_text()
        assert not unit.exists()
    install("1")
    assert f"-r requirements/litert.txt -r requirements/{extra}.txt" in checkout.pip.read_text()
    assert unit.exists()
    checkout.pip.unlink()
    (checkout.venv / f"lib/python3.11/site-packages/{library}").mkdir(parents=True)
    package.call("scripts/install.sh")
    assert f"-r requirements/{extra}.txt" in checkout.pip.read_text()
    package.call("scripts/uninstall.sh")
    assert not unit.exists()


def test_installed_from_a_checkout_it_has_a_man_page_and_a_completion_until_it_is_uninstalled(
    package: Package,
) -> None:
    Checkout(package)
    share = package.root / "usr/local/share"
    for _ in range(2):
        package.call("scripts/install.sh")
        assert b".SH NAME" in gzip.decompress((share / "man/man1/mammo-edge.1.gz").read_bytes())
        assert "complete " in (share / "bash-completion/completions/mammo-edge").read_text()
        assert "#compdef" in (share / "zsh/site-functions/_mammo-edge").read_text()
    for _ in range(2):
        package.call("scripts/uninstall.sh")
        assert [path for path in share.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("script", ["scripts/install.sh", "scripts/uninstall.sh"])
def test_a_debian_package_is_not_installed_over_and_a_removed_one_is_no_hindrance(
    package: Package, script: str
) -> None:
    package.tool("id", "echo 0")
    package.tool("python3", "exit 1")
    package.tool("dpkg-query", "printf installed")
    assert package.call(script, status=1) == ""
    package.tool("dpkg-query", "printf config-files")
    package.call(script, status=1 if script == "scripts/install.sh" else 0)
