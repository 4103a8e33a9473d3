"""
From a fresh Debian to a film that comes by SFTP and shows on the page, as the guide says.

The order matters: each test goes on from the state that the one before left.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.chromium import Chromium, chromium, find_chromium
from tests.support.films import demo_files
from tests.support.tools import DATA, ROOT, need
from tests.system.guide import blocks
from tests.system.machine import DEVICE, Machine, run, until
from tests.system.networks import networks
from tests.system.steps import PACKAGES, beside

pytestmark = pytest.mark.slow
GUIDE: Final = "docs/guides/raspberry-pi.md"
PICTURES: Final = os.environ.get("MAMMO_PICTURES")
"""A folder into which the pictures are copied: docs/pictures, to make them anew."""
LINK: Final = "[...document.links].find(link => link.innerText == '%s').href"
MALIGNANT: Final = DATA / "cbis-ddsm-malignant-cc.jpg"
WITH: Final = "adduser,mosquitto,mosquitto-clients,openssh-server,openssh-sftp-server"
"""A Raspberry Pi has these, or the guide has them installed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, str]]:
    """A machine, and the name of the sending device's network."""
    for tool, package in (
        ("systemd-nspawn", "systemd-container"),
        ("ip", "iproute2"),
        ("sftp", "openssh-client"),
    ):
        need(tool, package)
    find_chromium()
    folder = tmp_path_factory.mktemp("walk")
    with (
        networks(f"walk{os.getpid()}") as (sender, device),
        Machine(folder / "machine", device, more=WITH) as machine,
    ):
        yield machine, sender


@pytest.fixture
def machine(world: tuple[Machine, str]) -> Machine:
    return world[0]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sending device's key."""
    path = tmp_path_factory.mktemp("key") / "scanner"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "scanner", "-f", path)
    return path


def follow(machine: Machine, commands: list[str], **names: str) -> str:
    """Type the guide's commands, with names in place of those that it makes up."""
    text = "\n".join(commands)
    for written, ours in names.items():
        assert written in text
        text = text.replace(written, ours)
    return machine.run("sh", "-e", "-c", f"cd /root\n{text}")


def bring(machine: Machine, package: Path) -> str:
    """Copy a package over; returns the part of its name that the guide cannot know."""
    machine.copy_in(package, f"/root/{package.name}")
    return package.name.partition("_")[2].removesuffix(".deb")


def test_the_guide_s_commands_make_a_healthy_service(machine: Machine) -> None:
    machine.run("apt", "install", "mosquitto", "mosquitto-clients")
    version = bring(machine, PACKAGES[0])
    (commands, *_) = blocks(GUIDE, "The daemon")
    said = follow(machine, commands, VERSION_arm64=version, **{"broker.lan": "localhost"})
    assert "state       " in said
    until(lambda: machine.shown("StatusText") == "ready", "ready", machine.journal)


def test_the_guide_s_sftp_takes_films_from_another_network(
    machine: Machine, world: tuple[Machine, str], key: Path, tmp_path: Path
) -> None:
    machine.copy_in(key.with_suffix(".pub"), "/root/scanner.pub")
    commands, config = blocks(GUIDE, "An inbox over SFTP")
    follow(machine, commands)
    place = machine.root / "etc/ssh/sshd_config.d/mammo-sftp.conf"
    place.write_text("\n".join(config) + "\n")
    machine.run("systemctl", "reload", "ssh")
    send(list(demo_files())[-4:], world[1], key, tmp_path)
    until(lambda: machine.status()["queue"]["archived"] == 4, "archived", machine.journal)
    assert list((machine.root / "srv/mammo-edge/inbox").glob("[!.]*")) == []


def send(films: list[Path], network: str, key: Path, folder: Path) -> None:
    """Send films by SFTP."""
    batch = folder / "batch"
    batch.write_text("".join(f"put {film}\n" for film in films))
    known = f"UserKnownHostsFile={folder}/known"
    again = "ConnectionAttempts=60"  # sshd shuts its port for a moment to read its settings
    options = ("-o", "StrictHostKeyChecking=accept-new", "-o", known, "-o", again)
    sftp = ("sftp", "-b", batch, "-i", key, *options, f"scanner@{DEVICE}")
    run("ip", "netns", "exec", network, *sftp)


@pytest.fixture
def browser(machine: Machine, tmp_path: Path) -> Iterator[Chromium]:
    """A browser on the machine, in the page's network."""
    inside = ("ip", "netns", "exec", machine.namespace)
    with chromium(find_chromium(), tmp_path / "profile", inside) as opened:
        yield opened


def test_the_page_shows_the_films_and_their_results_to_a_browser(
    machine: Machine, browser: Chromium, tmp_path: Path
) -> None:
    version = bring(machine, beside(PACKAGES[0], "page"))
    (commands,) = blocks(GUIDE, "The page")
    said = follow(machine, commands, VERSION_all=version)
    (address,) = (word for word in said.split() if "#" in word)
    until(lambda: machine.shown("ActiveState", "mammo-edge-page") == "active", "page")
    names = [film.name for film in demo_files()][-4:]
    browser.show(1280, 800)
    browser.open(address)
    until(lambda: all(name in browser.text() for name in names), "the films", browser.text)
    assert "No running daemon answers" not in browser.text()
    take(browser, tmp_path / "sftp-worklist.png")
    browser.show(390, 844, scale=1.5)
    take(browser, tmp_path / "sftp-phone.png")
    browser.show(1200, 860)
    browser.open(str(browser.find(LINK % names[2])))
    until(lambda: "Calibrated probability" in browser.text(), "the result", browser.text)
    assert names[2] in browser.text()
    take(browser, tmp_path / "page-result.png")


def test_two_lines_more_show_the_breasts_of_the_next_films(
    machine: Machine, world: tuple[Machine, str], key: Path, browser: Chromium, tmp_path: Path
) -> None:
    (section, line), *_ = blocks("docs/guides/page.md", "Pictures of the breast")
    settings = machine.root / "etc/mammo-edge/edge.toml"
    text = settings.read_text()
    assert f"\n{section}\n" in text
    settings.write_text(text.replace(f"\n{section}\n", f"\n{section}\n{line}\n"))
    machine.run("systemctl", "restart", "mammo-edge", "mammo-edge-page")
    films = [*list(demo_files())[:4], ROOT / "docs/pictures/explain.jpg", MALIGNANT]
    send(films, world[1], key, tmp_path)
    until(lambda: drawn(machine) == len(films) - 1, "drawn", machine.journal)
    browser.show(1200, 760)
    browser.open(machine.run("mammo-edge", "page", "--token").split()[-1])
    until(lambda: all(film.name in browser.text() for film in films), "the films", browser.text)
    take(browser, tmp_path / "page-worklist.png")
    browser.show(1200, 860)
    browser.open(str(browser.find(LINK % MALIGNANT.name)))
    until(lambda: "Calibrated probability" in browser.text(), "the result", browser.text)
    take(browser, tmp_path / "page-picture.jpg", "jpeg")


def drawn(machine: Machine) -> int:
    """Count the pictures that the daemon has drawn."""
    return len(list((machine.root / "var/lib/mammo-edge/pictures").glob("*/*.small.jpg")))


def take(browser: Chromium, picture: Path, kind: str = "png") -> None:
    """Take a picture once all pictures of the page are there, and keep it if that was asked for."""
    until(lambda: browser.find("[...document.images].every(one => one.complete)"), "pictures")
    browser.picture(picture, kind)
    assert picture.stat().st_size < 200_000
    if PICTURES is not None:
        shutil.copy(picture, ROOT / PICTURES)
