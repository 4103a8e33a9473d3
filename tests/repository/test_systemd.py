"""The units, the user, the folders and the device rules, as systemd's own tools read them."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from edge.config.dicom import Dicom
from edge.config.network import Control
from tests.support.tools import ROOT, need

SYSTEMD: Final = ROOT / "systemd"
UNITS: Final = (SYSTEMD / "mammo-edge.service", SYSTEMD / "mammo-edge@.service")
RECEIVER: Final = SYSTEMD / "mammo-edge-dicom.service"
PAGE: Final = SYSTEMD / "mammo-edge-page.service"
INSTALLING: Final = ROOT / "docs/guides/install.md"
CPU_ONLY: Final = SYSTEMD / "drop-ins" / "cpu-only.conf"


def _installed(unit: Path, tmp_path: Path, drop_in: Path | None = None) -> Path:
    """
    The unit with a program that exists here (verify complains of one that does not), and a
    drop-in's lines after its own.
    """
    installed = tmp_path / unit.name.replace("@", "@left")
    text = unit.read_text().replace("/opt/mammo-edge/venv/bin/mammo-edge", "/bin/true")
    installed.write_text(text + (drop_in.read_text() if drop_in else ""))
    return installed


def _directives(unit: Path) -> list[tuple[str, str]]:
    lines = (
        line.partition("=")
        for line in unit.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    return [(key, value) for key, _, value in lines]


@pytest.mark.parametrize("unit", [*UNITS, RECEIVER, PAGE], ids=lambda unit: unit.name)
def test_systemd_understands_every_line_of_the_unit(unit: Path, tmp_path: Path) -> None:
    command = [
        need("systemd-analyze", "systemd"),
        "verify",
        "--man=no",
        str(_installed(unit, tmp_path)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""  # it exits 0 on a misspelt key


@pytest.mark.parametrize(
    ("unit", "drop_in", "tenths"),
    [
        (UNITS[0], None, 12),
        (UNITS[1], None, 12),
        (UNITS[0], CPU_ONLY, 10),
        (RECEIVER, None, 10),
        (PAGE, None, 9),
    ],
    ids=["coral", "instance", "cpu", "receiver", "page"],
)
def test_the_sandbox_is_as_tight_as_the_documents_say(
    unit: Path, drop_in: Path | None, tenths: int, tmp_path: Path
) -> None:
    analyze = [need("systemd-analyze", "systemd"), "security", "--offline=yes", "--no-pager"]
    installed = _installed(unit, tmp_path, drop_in)
    subprocess.run(
        [*analyze, f"--threshold={tenths}", str(installed)], capture_output=True, check=True
    )
    said = subprocess.run(
        [*analyze, str(installed)], capture_output=True, text=True, check=True
    ).stdout
    exposure = re.search(r"exposure level for \S+: (\S+)", said)
    assert exposure
    assert f"**{exposure[1]}**" in INSTALLING.read_text()


def test_the_measurements_give_the_unit_s_figures() -> None:
    page = (ROOT / "docs/quality/measurements.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    figures = {what.split(" by ")[0].split(" (")[0]: figure for what, figure in rows}
    assert (
        figures["memory limit of the service"]
        == f"{dict(_directives(UNITS[0]))['MemoryMax'].removesuffix('M')} MB"
    )
    both = re.findall(
        r"\*\*(\d\.\d)\*\*",
        INSTALLING.read_text().partition("## The service, line by line")[2].partition("\n## ")[0],
    )
    assert figures["exposure"] == " / ".join(both)


@pytest.mark.parametrize("file", [*UNITS, CPU_ONLY, RECEIVER, PAGE], ids=lambda file: file.name)
def test_every_directive_is_explained(file: Path) -> None:
    explained = set(re.findall(r"`([A-Z]\w+)=[^`]*`", INSTALLING.read_text()))
    assert {key for key, _ in _directives(file)} <= explained


def test_no_directive_is_explained_that_no_unit_has() -> None:
    table = INSTALLING.read_text().partition("| directive | why |")[2]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    explained = {key for row in rows for key in re.findall(r"`([A-Z]\w+)=", row)}
    assert explained == {key for unit in (*UNITS, RECEIVER, PAGE) for key, _ in _directives(unit)}


def test_an_instance_differs_from_the_service_in_its_places_only() -> None:
    one, many = (_directives(unit) for unit in UNITS)
    assert [key for key, _ in one] == [key for key, _ in many]
    changed = {
        key for (key, single), (_, several) in zip(one, many, strict=True) if single != several
    }
    places = {
        "StateDirectory",
        "RuntimeDirectory",
        "LoadCredential",
        "ReadWritePaths",
        "RequiresMountsFor",
    }
    assert changed == {"Description", "ExecStart", "ExecReload"} | places
    assert all("%i" in value for key, value in many if key in changed)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_what_it_writes_is_mounted_first(unit: Path) -> None:
    directives = dict(_directives(unit))
    assert directives["ReadWritePaths"] == f"-{directives['RequiresMountsFor']}"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_reload_with_eight_workers_has_room_for_their_threads(unit: Path) -> None:
    """
    Counted: 19 in the daemon, 5 in a worker on two processors and 7 on four, of old and new workers
    at the same time.
    """
    assert int(dict(_directives(unit))["TasksMax"]) >= 2 * (19 + 8 * 7)


def test_the_receiver_may_write_the_inbox_and_see_nothing_else_of_the_daemon() -> None:
    directives = _directives(RECEIVER)
    assert [value for key, value in directives if key == "ReadWritePaths"] == [
        "-/srv/mammo-edge/inbox"
    ]
    assert not {"StateDirectory", "LoadCredential"} & dict(directives).keys()
    assert Path("/run") / dict(directives)["RuntimeDirectory"] == Dicom().report.parent
    assert Dicom().report.parent not in (Control().socket.parent, Path("/run"))
    emptied = dict(directives)["TemporaryFileSystem"].replace(":ro", "").split()
    back = ["/run/mammo-edge-dicom", "-/srv/mammo-edge/inbox"]
    assert dict(directives)["BindPaths"].split() == back
    assert emptied == ["/run", "/srv/mammo-edge"]
    lines = (SYSTEMD / "tmpfiles.d/mammo-edge.conf").read_text().splitlines()
    folders = {line.split()[1] for line in lines if line.startswith("d ")}
    left = {name for name in folders if not name.startswith(tuple(emptied))}
    assert left == {"/etc/mammo-edge", "/etc/mammo-edge/keys", "/var/lib/mammo-edge"}
    assert dict(directives)["InaccessiblePaths"] == "-/var/lib/mammo-edge"


def test_the_page_may_write_nothing_and_see_no_image() -> None:
    directives = dict(_directives(PAGE))
    assert directives["ProtectSystem"] == "strict"
    writable = {"ReadWritePaths", "StateDirectory", "RuntimeDirectory", "LoadCredential"}
    assert not writable & directives.keys()
    assert directives["InaccessiblePaths"] == "-/srv/mammo-edge"
    assert directives["IPAddressAllow"] == "localhost"


def test_the_receiver_has_room_for_the_threads_of_all_associations() -> None:
    """Three an association, of which there are at most 256, and a few of its own."""
    assert int(dict(_directives(RECEIVER))["TasksMax"]) >= 3 * 256 + 10


def test_only_the_inbox_belongs_to_the_senders_group(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = [
        need("systemd-sysusers", "systemd"),
        f"--root={tmp_path}",
        str(SYSTEMD / "sysusers.d/mammo-edge.conf"),
    ]
    subprocess.run(command, capture_output=True, check=True)
    groups = dict(
        line.split(":")[::3] for line in (tmp_path / "etc/group").read_text().splitlines()
    )
    assert groups["mammo-inbox"] == "mammo-edge"
    lines = (SYSTEMD / "tmpfiles.d/mammo-edge.conf").read_text().splitlines()
    folders = {fields[1]: fields[2:5] for fields in map(str.split, lines) if fields[:1] == ["d"]}
    assert folders.pop("/srv/mammo-edge/inbox") == ["3770", "mammo-edge", "mammo-inbox"]
    assert {group for _mode, _user, group in folders.values()} == {"root", "mammo-edge"}


def test_both_ids_of_the_usb_coral_and_the_pcie_one_go_to_the_service_s_group() -> None:
    rules = [
        line
        for line in (SYSTEMD / "udev/60-mammo-edge.rules").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(re.search(r'GROUP="mammo-edge", MODE="0660"$', rule) for rule in rules)
    ids = [tuple(re.findall(r'ATTR{id\w+}=="(\w+)"', rule)) for rule in rules]
    assert ids == [("1a6e", "089a"), ("18d1", "9302"), ()]
    assert dict(_directives(UNITS[0]))["Group"] == "mammo-edge"
