"""
The Containerfile builds, and its image runs as its user.

buildah needs a registry for the image that the Containerfile begins with; the cached Debian stands
in for it here.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.tools import ROOT, need
from tests.system.machine import SUITE, checkout, root_file_system, run, wheels

CONTAINERFILE: Final = ROOT / "deploy/container/Containerfile"
MINOR: Final = {"bookworm": "3.11", "trixie": "3.13"}[SUITE]
STORAGE: Final = (
    '[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
)


class Buildah:
    """A buildah with a store of its own, and a chroot in place of a container runtime."""

    def __init__(self, folder: Path) -> None:
        self._config = folder / "storage.conf"
        self._config.write_text(STORAGE.format(folder=folder))

    def __call__(self, *words: object) -> str:
        settings = (
            "STORAGE_DRIVER=vfs",
            "BUILDAH_ISOLATION=chroot",
            f"CONTAINERS_STORAGE_CONF={self._config}",
        )
        return run("env", "-u", "PIP_FIND_LINKS", *settings, "buildah", *words).strip()


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    need("buildah", "buildah")
    folder = tmp_path_factory.mktemp("buildah")
    made = Buildah(folder)
    yield made
    subprocess.run(
        ["umount", "--quiet", "--lazy", folder / "images/vfs"], check=False, capture_output=True
    )
    shutil.rmtree(folder, ignore_errors=True)  # a gigabyte and more


@pytest.fixture(scope="module")
def container(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A container of the image."""
    folder = tmp_path_factory.mktemp("context")
    (name,) = set(re.findall(r"^FROM (\S+)", CONTAINERFILE.read_text(), re.MULTILINE))
    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, root_file_system(), "/")
    buildah("run", base, "--", "ln", "-s", f"/usr/bin/python{MINOR}", "/usr/local/bin/python")
    buildah("commit", "--quiet", "--rm", base, name)
    checkout(folder / "checkout")
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    beside = (
        "--volume",
        f"{wheels()}:/wheels:ro",
        "--volume",
        f"{folder}/pip.conf:/etc/pip.conf:ro",
    )
    below = folder / "checkout"
    buildah(
        "build",
        "--pull-never",
        "--format=docker",
        *beside,
        "--file",
        below / "deploy/container/Containerfile",
        "--tag=mammo-edge",
        below,
    )
    return buildah("from", "--pull-never", "localhost/mammo-edge")


def test_the_image_runs_the_daemon_as_a_user_of_its_own(buildah: Buildah, container: str) -> None:
    config: dict[str, Any] = json.loads(buildah("inspect", "--type=container", container))[
        "Docker"
    ]["config"]
    assert (config["Entrypoint"], config["Cmd"], config["User"]) == (
        ["mammo-edge"],
        ["run"],
        "10001:10001",
    )
    assert buildah("run", container, "--", "id", "--user") == "10001"
    assert (
        buildah("run", container, "--", "sh", "-c", "command -v mammo-edge")
        == "/opt/mammo-edge/venv/bin/mammo-edge"
    )


def test_inside_it_everything_is_found_right_and_the_model_gives_its_known_answers(
    buildah: Buildah, container: str
) -> None:
    found = json.loads(buildah("run", container, "--", "mammo-edge", "check", "--json"))
    assert [line for line in found if not line["ok"]] == []
    assert any("known answers 3 of 3" in line["detail"] for line in found)


def test_inside_it_nothing_of_the_program_can_be_changed(buildah: Buildah, container: str) -> None:
    said = buildah(
        "run",
        container,
        "--",
        "sh",
        "-c",
        "find /opt /usr /etc -writable -not -type l -not -path '/etc/*.conf' | head",
    )
    assert said == ""
