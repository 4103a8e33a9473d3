"""
install.sh and uninstall.sh run on a fresh Debian without our package, again and again, and nothing
is lost.

The order matters: each test goes on from the state that the one before left.
"""

import json
import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.rig import film, sha256
from tests.support.tools import ROOT, need
from tests.system.machine import BROWSE, Machine, checkout, until, wheels
from tests.system.networks import networks

CHECKOUT: Final = "/root/mammo-edge"
OURS: Final = ("/etc/mammo-edge", "/srv/mammo-edge", "/var/lib/mammo-edge")
PLACES: Final = ("/opt", "/etc", "/srv", "/var/lib", "/usr/local", "/run")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A fresh machine with a checkout, and the libraries in place of the package index."""
    for tool, package in (("systemd-nspawn", "systemd-container"), ("ip", "iproute2")):
        need(tool, package)
    folder = tmp_path_factory.mktemp("scripts")
    with (
        networks(f"scripts{os.getpid()}") as (_, device),
        Machine(folder / "machine", device) as machine,
    ):
        checkout(machine.root / CHECKOUT.lstrip("/"))
        shutil.copytree(wheels(), machine.root / "root/wheels")
        yield machine


def install(machine: Machine, *words: str) -> str:
    return machine.run(
        "env",
        "PIP_NO_INDEX=1",
        "PIP_FIND_LINKS=/root/wheels",
        *words,
        f"{CHECKOUT}/deploy/scripts/install.sh",
    )


def is_fast(machine: Machine) -> bool:
    """True if the extra `fast` is installed."""
    return (
        machine.tries("/opt/mammo-edge/venv/bin/python", "-c", "import imagecodecs").returncode == 0
    )


def uninstall(machine: Machine, *words: str) -> str:
    return machine.run(f"{CHECKOUT}/deploy/scripts/uninstall.sh", *words)


def drop(machine: Machine, number: int) -> str:
    inbox = machine.root / "srv/mammo-edge/inbox"
    (inbox / f"{number}.png.part").write_bytes(film(number))
    (inbox / f"{number}.png.part").rename(inbox / f"{number}.png")
    return sha256(film(number))


def answered(machine: Machine) -> set[str]:
    """Give the images that have a result in the ledger."""
    return {
        json.loads(line)["image_id"]
        for line in machine.run("mammo-edge", "results", "--json").splitlines()
    }


def left(machine: Machine) -> list[str]:
    """List everything named after us, outside of the checkout and the logs."""
    return machine.run("find", *PLACES, "-xdev", "-name", "*mammo-edge*", "-prune").split()


def test_installed_from_a_checkout_two_commands_make_it_run(machine: Machine) -> None:
    assert install(machine).splitlines()[-1].startswith('installed: next "mammo-edge setup"')
    assert (
        machine.run("stat", "-c", "%a %U:%G", "/srv/mammo-edge/inbox").strip()
        == "3770 mammo-edge:mammo-inbox"
    )
    assert (
        machine.run("stat", "-c", "%a %U:%G", "/etc/mammo-edge/edge.toml").strip()
        == "640 root:mammo-edge"
    )
    assert machine.shown("ActiveState") == "inactive"
    assert not is_fast(machine)
    said = machine.tries(
        "mammo-edge", "setup", "--broker", "localhost", "--site", "north", "--device", "edge-1"
    )
    assert said.returncode == 1  # nothing listens there yet
    assert said.stdout.splitlines()[-1] == "now: systemctl enable --now mammo-edge"
    machine.run("systemctl", "enable", "--now", "mammo-edge")
    image_id = drop(machine, 1)
    until(lambda: image_id in answered(machine), "examined", machine.journal)


def test_installed_again_it_is_an_upgrade_that_keeps_configuration_and_data_and_runs(
    machine: Machine,
) -> None:
    before, config = (
        machine.shown("MainPID"),
        (machine.root / "etc/mammo-edge/edge.toml").read_bytes(),
    )
    install(machine, "FAST=1")
    until(lambda: machine.shown("ActiveState") == "active", "active", machine.journal)
    assert machine.shown("MainPID") != before
    assert is_fast(machine)
    assert (machine.root / "etc/mammo-edge/edge.toml").read_bytes() == config
    image_id = drop(machine, 2)
    until(lambda: {image_id, sha256(film(1))} <= answered(machine), "examined", machine.journal)


SEND: Final = """
from pynetdicom import AE
from pynetdicom.sop_class import SecondaryCaptureImageStorage as Kind
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
image = Dataset()
image.SOPClassUID, image.SOPInstanceUID, image.Modality = Kind, "1.2.3.4", "MG"
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
ae = AE("MAMMO1")
ae.add_requested_context(Kind, ExplicitVRLittleEndian)
association = ae.associate("127.0.0.1", 11112, ae_title="MAMMO_EDGE")
print(association.send_c_store(image).Status)
association.release()
"""


PROBE: Final = """
for folder in /srv/mammo-edge/spool /srv/mammo-edge/done /var/lib/mammo-edge /run/mammo-edge; do
  ! ls $folder > /dev/null 2>&1 || echo "sees $folder"
done
for folder in /srv/mammo-edge /srv/mammo-edge/inbox /etc/mammo-edge /opt /var /run; do
  ! touch $folder/.x 2> /dev/null || echo "writes $folder"
done
"""


LEFT_OUT: Final = ("Type=", "NotifyAccess=", "ExecStart=", "Restart", "Watchdog", "RuntimeDir")
"""Lines of a unit that a probe has not: the receiver's folder would be removed at its end."""


def probed(machine: Machine, name: str) -> list[str]:
    """Say what a shell sees and writes in the sandbox of a unit."""
    unit = (ROOT / f"systemd/{name}.service").read_text()
    kept = [line for line in unit.splitlines() if not line.startswith(LEFT_OUT)]
    text = "\n".join(kept).replace(
        "[Service]", "[Service]\nType=oneshot\nExecStart=/bin/sh /opt/probe"
    )
    (machine.root / "opt/probe").write_text(PROBE)
    probe = name.replace("mammo-edge", "probe")  # the journal keeps what another one saw
    (machine.root / f"etc/systemd/system/{probe}.service").write_text(text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", probe)
    machine.run("rm", "/opt/probe", f"/etc/systemd/system/{probe}.service")
    machine.run("rm", "-f", "/srv/mammo-edge/inbox/.x")
    lines = machine.journal(probe).splitlines()
    return [line for line in lines if line.startswith(("sees ", "writes "))]


def test_with_the_extra_dicom_a_modality_s_object_goes_through_the_receiver_to_the_daemon(
    machine: Machine,
) -> None:
    install(machine, "DICOM=1")
    config = machine.root / "etc/mammo-edge/edge.toml"
    before, known = config.read_text(), answered(machine)
    config.write_text(before.replace("# callers = []", 'callers = ["MAMMO1@127.0.0.0/8"]'))
    machine.run("systemctl", "enable", "--now", "mammo-edge-dicom")
    said = machine.run("/opt/mammo-edge/venv/bin/python", "-c", SEND)
    assert said == "0\n"
    until(lambda: len(answered(machine) - known) == 1, "examined", machine.journal)
    assert probed(machine, "mammo-edge-dicom") == ["writes /srv/mammo-edge/inbox"]
    machine.run("systemctl", "restart", "mammo-edge")  # which makes its folder in /run anew
    receiver = ["nsenter", "-m", "-t", machine.shown("MainPID", "mammo-edge-dicom")]
    assert machine.run(*receiver, "ls", "/run").split() == ["mammo-edge-dicom", "systemd"]
    assert machine.run(*receiver, "ls", "/srv/mammo-edge") == "inbox\n"
    until(lambda: machine.status()["receiver"]["taken"] == 1, "counted", machine.journal)
    install(machine)
    until(
        lambda: machine.ask("systemctl", "is-active", "mammo-edge-dicom").strip() == "active",
        "it runs again after an upgrade",
        machine.journal,
    )
    config.write_text(before)


def test_with_the_extra_page_a_browser_of_this_machine_sees_results_and_the_page_no_image(
    machine: Machine,
) -> None:
    install(machine, "PAGE=1")
    token = machine.run("mammo-edge", "page", "--token").strip().partition("#")[2]
    assert (
        machine.run("stat", "-c", "%a %U", "/var/lib/mammo-edge/page.token") == "600 mammo-edge\n"
    )
    machine.run("systemctl", "enable", "--now", "mammo-edge-page")
    said = machine.run("/opt/mammo-edge/venv/bin/python", "-c", BROWSE, token, "1.png")
    assert said.split() == ["303", "200", "True", "False"], machine.journal("mammo-edge-page")
    sees = ["sees /var/lib/mammo-edge", "sees /run/mammo-edge"]
    assert probed(machine, "mammo-edge-page") == sees


def test_uninstalled_it_is_stopped_and_gone_and_configuration_and_data_stay(
    machine: Machine,
) -> None:
    said = uninstall(machine)
    assert said.splitlines() == [f"stays: {folder}" for folder in OURS]
    assert machine.ask("pgrep", "-u", "mammo-edge") == ""
    assert machine.tries("systemctl", "cat", "mammo-edge").returncode != 0
    assert machine.ask("sh", "-c", "command -v mammo-edge") == ""
    drop_ins = "/etc/systemd/system/mammo-edge.service.d"
    assert sorted(left(machine)) == sorted([*OURS, drop_ins])
    assert uninstall(machine) == said


def test_installed_once_more_it_goes_on_with_what_it_had(machine: Machine) -> None:
    image_id = drop(machine, 3)
    install(machine)
    machine.run("systemctl", "enable", "--now", "mammo-edge")
    until(
        lambda: {image_id, sha256(film(1)), sha256(film(2))} <= answered(machine),
        "examined",
        machine.journal,
    )


def test_configuration_and_data_go_only_when_both_are_asked_for(machine: Machine) -> None:
    refused = machine.tries(f"{CHECKOUT}/deploy/scripts/uninstall.sh", "--data")
    assert (refused.returncode, machine.shown("ActiveState")) == (2, "active")
    assert uninstall(machine, "--purge").splitlines() == [f"stays: {folder}" for folder in OURS[1:]]
    assert uninstall(machine, "--purge", "--data") == ""
    assert left(machine) == []
    assert uninstall(machine, "--purge", "--data") == ""
