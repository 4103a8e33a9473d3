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

from tests.support.tools import ROOT, need

DEPLOY: Final = ROOT / "deploy"
RUNNING: Final = (
    "mammo-edge.service loaded active running x\nmammo-edge@left.service loaded active running x\n"
)
TOOLS: Final = ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm")


class Package:
    """An unpacked package whose two services run; its Python notes what it is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "opt/mammo-edge"
        self.log = root / "log"
        self.release = "@VERSION@"
        for folder in ("run/systemd/system", "etc/mammo-edge", "opt", "bin", "usr/local/bin"):
            (root / folder).mkdir(parents=True)
        (root / "etc/mammo-edge/edge.toml").touch()
        for tool in TOOLS:
            self.tool(
                tool,
                f'echo "{tool} $*" >> {self.log}\n[ "$1" != list-units ] || cat {root / "running"}',
            )
        (root / "running").write_text(RUNNING)

    def unpack(self, python: str = "exit 0") -> None:
        """Put the tree that dpkg owns in place, with another Python and other files."""
        shutil.rmtree(self.home / "dist", ignore_errors=True)
        self.tool("opt/mammo-edge/dist/bin/python3", f'echo "python $*" >> {self.log}\n{python}')
        program = self.home / "dist/bin/mammo-edge"
        program.write_text(f"#!{self.home}/venv/bin/python3\n")
        program.chmod(0o755)
        (self.home / "dist/lib/python3.11/site-packages/edge/models/default").mkdir(parents=True)

    @property
    def version(self) -> str:
        """The name of the folder that the link leads to."""
        return (self.home / "venv").resolve(strict=True).name

    def tool(self, name: str, text: str) -> None:
        """Put a program into the path."""
        path = self.root / name if "/" in name else self.root / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def call(self, script: str, *words: str, status: int = 0, **variables: str) -> str:
        """Run one script; returns what it told systemctl."""
        self.log.write_text("")
        text = (DEPLOY / script).read_text().replace("@VERSION@", self.release)
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


@pytest.fixture
def installed(package: Package) -> Package:
    package.unpack()
    package.call("debian/postinst", "configure", "")
    return package


CHANGED: Final = "systemctl restart mammo-edge.service\nsystemctl restart mammo-edge@left.service\n"


@pytest.mark.parametrize(
    "words", [("upgrade", "2"), ("deconfigure", "in-favour", "x", "1"), ("failed-upgrade", "1")]
)
def test_before_an_upgrade_nothing_is_stopped_nor_removed(
    installed: Package, words: tuple[str, ...]
) -> None:
    assert installed.call("debian/prerm", *words) == ""
    assert installed.version == "@VERSION@"


@pytest.mark.parametrize(
    "words", [("abort-upgrade", "2"), ("abort-deconfigure", "in-favour", "x", "1")]
)
def test_where_dpkg_gives_up_all_is_as_it_was(installed: Package, words: tuple[str, ...]) -> None:
    installed.call("debian/postrm", "abort-upgrade", "1")
    assert installed.call("debian/postinst", *words) == ""
    assert installed.version == "@VERSION@"


@pytest.mark.parametrize("words", [("configure", "1"), ("triggered", "/opt/mammo-edge/dist")])
def test_what_runs_changes_over_to_a_folder_of_its_own_once_that_is_proved(
    installed: Package, words: tuple[str, ...]
) -> None:
    installed.unpack()
    said = installed.call("debian/postinst", *words)
    folder = installed.home / "versions" / installed.version
    assert folder.name == "@VERSION@+"
    assert said.index(f"{folder}/bin/mammo-edge model verify") < said.index(CHANGED)
    assert (folder / "bin/mammo-edge").read_text() == f"#!{folder}/bin/python3\n"
    shipped = installed.home / "dist/bin"
    assert (shipped / "mammo-edge").read_text() != (folder / "bin/mammo-edge").read_text()
    assert (shipped / "python3").samefile(folder / "bin/python3")
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not (installed.root / "run/mammo-edge.stopped").exists()


def test_a_version_that_fails_here_is_not_changed_over_to_and_the_next_one_is(
    installed: Package,
) -> None:
    installed.unpack('case "$*" in *verify*) exit 1 ;; esac')
    assert CHANGED not in installed.call("debian/postinst", "configure", "1", status=1)
    assert installed.version == "@VERSION@"
    installed.unpack()
    assert CHANGED in installed.call("debian/postinst", "configure", "1")


def test_after_0_1_0_a_version_that_fails_here_is_started_all_the_same(package: Package) -> None:
    package.unpack('case "$*" in *verify*) exit 1 ;; esac')
    (package.home / "venv/lib").mkdir(parents=True)  # dpkg has removed the files in it
    (package.root / "running").write_text("")
    (package.root / "run/mammo-edge.stopped").write_text("mammo-edge.service\n")
    said = package.call("debian/postinst", "configure", "0.1.0-1")
    assert "systemctl restart mammo-edge.service\n" in said
    assert package.version == "@VERSION@"


def test_on_the_way_back_to_0_1_0_all_is_stopped_before_its_files_come(installed: Package) -> None:
    need("dpkg", "dpkg")
    installed.release = "0.2.0-1"
    assert installed.call("debian/prerm", "upgrade", "0.2.0-1") == ""
    (installed.root / "running").write_text(RUNNING)
    said = installed.call("debian/prerm", "upgrade", "0.1.0-1~bookworm")
    assert "systemctl stop mammo-edge.service mammo-edge@left.service\n" in said
    assert "disable" not in said
    assert [path.name for path in installed.home.iterdir()] == ["dist"]
    assert (installed.root / "run/mammo-edge.stopped").read_text().split() == [
        "mammo-edge.service",
        "mammo-edge@left.service",
    ]
    assert CHANGED in installed.call("debian/postinst", "abort-upgrade", "0.1.0-1~bookworm")
    assert installed.version == "0.2.0-1"


def test_a_change_that_was_interrupted_is_finished_by_the_next_call(installed: Package) -> None:
    (installed.root / "running").write_text("")
    (installed.root / "run/mammo-edge.stopped").write_text("mammo-edge.service\n")
    (installed.home / "versions/half/lib").mkdir(parents=True)
    (installed.home / "venv.new").symlink_to("nowhere")
    said = installed.call("debian/postinst", "configure", "1")
    assert "systemctl restart mammo-edge.service\n" in said
    assert len(list((installed.home / "versions").iterdir())) == 1
    assert not (installed.home / "venv.new").is_symlink()


def test_a_version_from_which_something_runs_stays_until_it_ends(installed: Package) -> None:
    old = installed.home / "versions/@VERSION@"
    name = str(old / "bin/python3")
    running = subprocess.Popen([name, "30"], executable=shutil.which("sleep"))
    try:
        for _ in range(2):
            installed.unpack()
            installed.call("debian/postinst", "configure", "1")
            assert old.is_dir()
            assert installed.version != old.name
    finally:
        running.kill()
        running.wait()
    installed.unpack()
    installed.call("debian/postinst", "configure", "1")
    assert [path.name for path in old.parent.iterdir()] == [installed.version]


def test_an_environment_without_versions_gives_way_to_the_link(package: Package) -> None:
    package.unpack()
    (package.home / "venv/lib").mkdir(parents=True)  # 0.1.0 stopped its services itself
    (package.root / "running").write_text("")
    (package.root / "run/mammo-edge.stopped").write_text("mammo-edge.service\n")
    assert "restart mammo-edge.service" in package.call("debian/postinst", "configure", "0.1.0-1")
    assert package.version == "@VERSION@"


def test_who_removes_the_package_stops_all_that_runs_and_if_that_fails_it_runs_again(
    installed: Package,
) -> None:
    stopped = installed.call("debian/prerm", "remove")
    assert re.search(r"list-units .* mammo-edge-dicom.service mammo-edge-page.service\b", stopped)
    assert "systemctl stop mammo-edge.service mammo-edge@left.service" in stopped
    assert [path.name for path in installed.home.iterdir()] == ["dist"]
    assert CHANGED in installed.call("debian/postinst", "abort-remove")
    assert installed.version == "@VERSION@"


def test_a_package_that_was_removed_and_comes_back_starts_nothing(installed: Package) -> None:
    installed.call("debian/prerm", "remove")
    installed.call("debian/postrm", "remove")
    (installed.root / "running").write_text("")
    said = installed.call("debian/postinst", "configure", "")
    assert "start " not in said
    assert "verify" not in said


def wanted(package: Package, name: str) -> Path:
    """Enable a unit by the link that systemctl makes for it."""
    link = package.root / f"etc/systemd/system/multi-user.target.wants/{name}.service"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"/usr/lib/systemd/system/{name}.service")
    return link


def test_what_is_removed_while_it_is_only_unpacked_is_stopped_and_taken_away(
    installed: Package,
) -> None:
    link = wanted(installed, "mammo-edge")
    said = installed.call("debian/postrm", "remove")  # without prerm
    assert said.index("systemctl stop mammo-edge.service mammo-edge@left.service\n") < said.index(
        "systemctl daemon-reload"
    )
    assert not link.is_symlink()
    assert [path.name for path in installed.home.iterdir()] == ["dist"]


@pytest.mark.parametrize("name", ["dicom", "page"])
def test_a_package_beside_that_is_removed_while_it_is_only_unpacked_is_stopped(
    package: Package, name: str
) -> None:
    link = wanted(package, f"mammo-edge-{name}")
    said = package.call(f"debian/{name}/postrm", "remove")
    assert f"systemctl --quiet stop mammo-edge-{name}.service\n" in said
    assert not link.is_symlink()


@pytest.mark.parametrize("name", ["dicom", "page"])
def test_a_package_beside_is_stopped_by_who_removes_it_and_by_no_upgrade(
    package: Package, name: str
) -> None:
    assert package.call(f"debian/{name}/prerm", "upgrade", "2") == ""
    package.call(f"debian/{name}/postrm", "upgrade", "2")
    assert "start" not in package.call(f"debian/{name}/postinst", "configure", "1")
    stopped = package.call(f"debian/{name}/prerm", "remove")
    assert f"systemctl --quiet disable --now mammo-edge-{name}.service" in stopped


def test_who_purges_the_page_s_package_takes_what_opens_the_page(package: Package) -> None:
    state = package.root / "var/lib/mammo-edge"
    state.mkdir(parents=True)
    for name in ("page.token", "page.password", "ledger.sqlite3"):
        (state / name).touch()
    package.call("debian/page/postrm", "remove")
    assert len(list(state.iterdir())) == 3
    package.call("debian/page/postrm", "purge")
    assert [path.name for path in state.iterdir()] == ["ledger.sqlite3"]


def test_an_accelerator_that_was_plugged_in_before_gets_its_rights(installed: Package) -> None:
    assert "udevadm trigger --action=change --subsystem-match=usb" in installed.call(
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only what is root's changes hands")
@pytest.mark.parametrize("script", ["debian/postinst", "scripts/install.sh"])
def test_what_setup_wrote_before_there_was_a_group_is_given_to_the_daemon_and_no_more(
    package: Package, script: str
) -> None:
    etc, left = package.root / "etc/mammo-edge", package.root / "srv/mammo-edge/left"
    for name, mode in (("edge.toml", 0o640), ("left.key", 0o640), ("mqtt.password", 0o600)):
        (etc / name).touch()
        (etc / name).chmod(mode)
    for name, mode in (("inbox", 0o3770), ("spool", 0o750), ("mine", 0o755)):
        (left / name).mkdir(parents=True)
        (left / name).chmod(mode)
    (etc / "linked.key").symlink_to(etc / "left.key")
    given = package.root / "given"
    for tool in ("chgrp", "chown"):
        package.tool(tool, f'echo "$(printf "%s\n" "$@" | sort | xargs)" >> {given}')
    if script == "debian/postinst":
        package.unpack()
        package.call(script, "configure", "")
    else:
        Checkout(package)
        package.call(script)
    assert sorted(given.read_text().splitlines()) == [
        " ".join(sorted(["-h", "mammo-edge", f"{etc}/edge.toml", f"{etc}/left.key"])),
        " ".join(sorted(["-h", "mammo-edge:mammo-inbox", f"{left}/inbox"])),
        " ".join(sorted(["-h", "mammo-edge:mammo-edge", f"{left}/spool"])),
    ]
