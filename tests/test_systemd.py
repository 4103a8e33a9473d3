"""The unit, the user and the folders, as systemd's own tools read them."""

import subprocess
from pathlib import Path
from typing import Final

from tests.conftest import ROOT, need

UNIT: Final = ROOT / "systemd" / "mammo-edge.service"


def _installed(tmp_path: Path) -> Path:
    """The unit with a program that exists here: verify complains of one that does not."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/mammo-edge/venv/bin/mammo-edge", "/bin/true"))
    return unit


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    command = [need("systemd-analyze", "systemd"), "verify", "--man=no", str(_installed(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""  # it exits 0 on a misspelt key


def test_the_sandbox_stays_tight(tmp_path: Path) -> None:
    command = [need("systemd-analyze", "systemd"), "security", "--offline=yes", "--threshold=15", str(_installed(tmp_path))]
    subprocess.run(command, capture_output=True, check=True)  # 1.5 of 10, low is tight


def test_only_the_inbox_belongs_to_the_senders_group(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = [need("systemd-sysusers", "systemd"), f"--root={tmp_path}", str(ROOT / "systemd/sysusers.d/mammo-edge.conf")]
    subprocess.run(command, capture_output=True, check=True)
    groups = dict(line.split(":")[::3] for line in (tmp_path / "etc/group").read_text().splitlines())
    assert groups["mammo-inbox"] == "mammo-edge"
    lines = (ROOT / "systemd/tmpfiles.d/mammo-edge.conf").read_text().splitlines()
    folders = {fields[1]: fields[2:5] for fields in map(str.split, lines) if fields[:1] == ["d"]}
    assert folders.pop("/srv/mammo-edge/inbox") == ["2770", "mammo-edge", "mammo-inbox"]
    assert {group for _mode, _user, group in folders.values()} == {"root", "mammo-edge"}
