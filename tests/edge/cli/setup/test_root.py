"""`setup --root` in another system's tree, whose users and groups count."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from edge.cli import main
from tests.support.rig import PROGRAM
from tests.support.tools import need

KEY = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" * 2 + (
    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
)
OURS = (os.geteuid(), os.getegid())
as_root = pytest.mark.skipif(OURS[0] != 0, reason="only root gives files to others")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The tree of a system that has the package, with numbers that nobody has here."""
    etc = tmp_path / "im/etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0::/:/bin/sh\nmammo-edge:x:9861:9862::/:/bin/false\n+\n")
    (etc / "group").write_text("root:x:0:\nmammo-edge:x:9862:\nmammo-inbox:x:9863:mammo-edge\n")
    return etc.parent


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.toml"
    file.write_text('broker = "192.0.2.1"\nkey = "key"\ncert = "key"\nca = "key"\n')
    (tmp_path / "key").write_text(KEY)
    return file


def owner(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@as_root
def test_the_numbers_of_the_image_s_users_count_and_none_of_this_system(
    image: Path, answers: Path
) -> None:
    words = ("--root", image, "--from", answers, "--device", "edge-1")
    said = subprocess.run(
        [PROGRAM, "setup", *words], check=True, capture_output=True, text=True, timeout=120
    ).stdout
    config = image / "etc/mammo-edge"
    for name in ("edge.toml", "device.key", "device.crt"):
        assert owner(config / name) == (0, 9862, 0o640)
    assert owner(image / "srv/mammo-edge/inbox") == (9861, 9863, 0o3770)
    assert owner(image / "srv/mammo-edge/spool") == (9861, 9862, 0o750)
    assert "yet" not in said
    setpriv = [need("setpriv", "util-linux"), "--reuid=9861", "--regid=9862", "--clear-groups"]
    # Its own folder is where it begins: pytest's folders above are shut.
    read = subprocess.run(
        [*setpriv, "cat", "edge.toml"], check=True, capture_output=True, cwd=config
    )
    assert read.stdout == (config / "edge.toml").read_bytes()


def test_what_an_image_without_the_package_lacks_is_told(
    image: Path, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("passwd", "group"):
        (image / "etc" / name).write_text("root:x:0:0::/:/bin/sh\n")
    words = ["--root", str(image), "--from", str(answers), "--inbox", "/data/films"]
    assert main.main(["setup", *words]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-3:] == [
        (
            f"{image} has no user and group mammo-edge yet: the files are shut to the daemon until "
            "the package is installed, which gives them to it"
        ),
        "once the package is installed: chown mammo-edge:mammo-inbox /data/films",
        "on the device, once the package is installed: systemctl enable --now mammo-edge",
    ]
    assert owner(image / "etc/mammo-edge/device.key") == (*OURS, 0o640)
    assert owner(image / "data/films") == (*OURS, 0o3770)


@as_root
def test_the_service_is_enabled_in_the_image_and_not_here(
    image: Path, answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaced = image.rename(image.with_name("my im"))
    words = ["--root", str(spaced), "--from", str(answers), "--instance", "left"]
    assert main.main(["setup", *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"now: systemctl --root '{spaced}' enable mammo-edge@left"
