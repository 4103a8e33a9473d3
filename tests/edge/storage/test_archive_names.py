"""A film is archived whatever it is called, and found again whatever it is called there."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.settings import Settings
from edge.daemon.control.forgetting import Forgetting
from edge.daemon.pipeline import second_look
from edge.errors import Reason
from edge.models.active import shipped_bundle
from edge.storage import known_looks
from edge.storage.claim import Claim
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image, Submission
from edge.storage.ledger.states import State
from edge.storage.names import (
    archive_name,
    name_before_claim,
    plain_archive_name,
    result_path,
    sender_name,
)
from edge.storage.retention import DAY_S, Retention
from edge.storage.spool import Spool
from tests.support.folders import deep, windows_disk
from tests.support.pipeline import AtOnce, Line, line_of, parts_of
from tests.support.pools import serving_from

DATA: Final = b"a film"
ID: Final = hashlib.sha256(DATA).hexdigest()
PLAIN: Final = f"image.{ID[:16]}.dcm"
LONG: Final = b"film " * 40 + b".dcm"
ROOM: Final = 120
"""Bytes that a name has in the deep folders: less than LONG, and more than a plain name."""


class Device:
    """An inbox, a ledger and an archive, the last below a folder that a test names."""

    def __init__(self, folder: Path, archive: Path) -> None:
        spool = {"path": folder / "spool", "done": archive / "done", "failed": archive / "failed"}
        inbox, state = {"path": folder / "inbox"}, {"path": folder / "state"}
        self.settings = Settings(inbox=inbox, spool=spool, state=state)
        self.settings.inbox.path.mkdir()
        self.failed = self.settings.spool.failed
        self.ledger = Ledger(folder / "state", [], lambda payload, _: payload)
        places = self.settings.spool
        parts = parts_of(
            self.ledger,
            Spool(places.path, places.done, places.failed),
            serving_from(shipped_bundle()),
            tasks=AtOnce(),
        )
        self.line: Line = line_of(parts)

    def reject(self, name: bytes, *, settled: bool = True) -> Image:
        """Have a film of that name taken and rejected."""
        claimed = self.settings.spool.path / "claimed" / "m-1"
        claimed.write_bytes(DATA)
        submission = Submission(ID, claimed, name, "folder", 1.0, settled=settled)
        self.ledger.submissions.accept(submission, "b")
        return self.conclude()

    def conclude(self) -> Image:
        self.line.recorder.reject(ID, Reason.POISON, "for a test")
        return self.image()

    def image(self) -> Image:
        image = self.ledger.images.find(ID)
        assert image is not None
        return image

    def prune(self) -> None:
        """Do as retention does a year later."""
        later = lambda: time.time() + 365 * DAY_S  # noqa: E731
        up = lambda: time.monotonic() + 365 * DAY_S  # noqa: E731
        health = self.line.parts.health
        keeper = Retention(self.settings, self.ledger, health, now=later, uptime=up, calm_s=0.0)
        keeper._tidy()

    def archived(self) -> list[str]:
        return sorted(path.name for path in self.failed.iterdir())


@pytest.fixture
def devices() -> Iterator[list[Device]]:
    made: list[Device] = []
    yield made
    for device in made:
        device.ledger.close()


def lives_under_a_plain_name(device: Device, name: bytes) -> None:
    """Archive a film, examine it again, have retention remove it, then `forget`."""
    image = device.reject(name)
    assert (image.state, image.path, image.name) == (State.ARCHIVED, device.failed / PLAIN, name)
    assert device.archived() == [PLAIN, f"{PLAIN}.json"]
    assert image.path.read_bytes() == DATA
    assert json.loads((device.failed / f"{PLAIN}.json").read_bytes())["image_id"] == ID
    spool = device.line.parts.spool
    lost = device.settings.spool.path / "claimed" / "m-1"  # a kill came before the ledger knew
    assert spool.locate(lost, ID, name) == image.path
    device.ledger.submissions.retry([ID])
    assert device.conclude().path == image.path
    device.prune()
    assert device.archived() == []
    device.reject(name)
    assert device.archived() == [PLAIN, f"{PLAIN}.json"]
    forget: Any = Forgetting(device.settings, device.line.parts)
    assert forget({"id": ID})["files"] == 1
    assert device.archived() == []
    assert device.line.parts.health.reasons == []


def test_a_name_that_is_too_long_for_the_archive_gives_way_to_the_image_s_id(
    tmp_path: Path, devices: list[Device], caplog: pytest.LogCaptureFixture
) -> None:
    archive = deep(tmp_path, ROOM + len("/failed/"))
    devices.append(Device(tmp_path, archive))
    with pytest.raises(OSError, match="File name too long"):
        (devices[0].failed / archive_name(LONG, ID)).lstat()
    with caplog.at_level(logging.WARNING):
        lives_under_a_plain_name(devices[0], LONG)
    assert f"event=archived_by_id image={ID[:16]}" in caplog.text


@pytest.mark.parametrize(
    "name",
    [b'film: "3"?.dcm', b"aux.dcm", b"\xff\xfe.dcm", b"back\\slash.dcm"],
    ids=["characters", "reserved", "no text", "separator"],
)
def test_a_name_that_windows_refuses_gives_way_to_the_image_s_id(
    name: bytes, tmp_path: Path, devices: list[Device]
) -> None:
    with windows_disk(tmp_path) as disk:
        devices.append(Device(tmp_path, disk))
        lives_under_a_plain_name(devices[0], name)


@pytest.mark.parametrize(
    ("name", "archived"),
    [(b"film.", "film.ID"), (b"film. ", "film.ID"), (b"a b~%.dcm", "a b~%.ID.dcm")],
)
def test_a_name_that_windows_takes_stays_and_one_that_ends_with_a_dot_loses_that(
    name: bytes, archived: str, tmp_path: Path, devices: list[Device]
) -> None:
    with windows_disk(tmp_path) as disk:
        devices.append(Device(tmp_path, disk))
        expected = archived.replace("ID", ID[:16])
        assert devices[0].reject(name).path.name == expected
        assert devices[0].archived() == [expected, f"{expected}.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: run as root")
def test_a_file_that_becomes_ours_under_another_name_is_known_by_that(
    tmp_path: Path, devices: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Release 0.2.0 kept a blank at the end of a name."""
    monkeypatch.setattr(second_look, "OURS_AFTER_S", -1.0)
    monkeypatch.setattr(known_looks, "TICK_NS", 0)
    devices.append(Device(tmp_path, tmp_path / "archive"))
    device = devices[0]
    now = device.reject(b"film.dcm ", settled=False).path
    before = now.with_name(f"{now.name} ")
    now.rename(before)
    result_path(now).rename(result_path(before))
    device.ledger.images.relocate(ID, before)
    os.chown(before, 61_002, 61_002)
    for _ in range(2):  # hashes again, copies
        second_look.SecondLook(device.line.parts).turn()
    assert device.archived() == [now.name, result_path(now).name]
    assert device.image().path == now
    device.prune()
    assert device.archived() == []


def test_a_file_that_changed_is_noted_under_a_name_that_may_be_asked_for(
    tmp_path: Path, devices: list[Device]
) -> None:
    devices.append(Device(tmp_path, deep(tmp_path, ROOM + len("/failed/"))))
    spool = devices[0].line.parts.spool
    claimed = spool.claimed / "m-1"
    claimed.write_bytes(b"another film")
    place = spool.archive(claimed, ID, LONG, b"{}", scored=False)
    assert (place.name, place.exists()) == (PLAIN, False)


def test_a_name_that_is_too_long_for_the_spool_is_cut_there_and_known_in_whole(
    tmp_path: Path,
) -> None:
    """Quoted it has three bytes for each of an umlaut."""
    inbox, name = tmp_path / "inbox", "\u00fc" * 60 + ".dcm"
    inbox.mkdir()
    (inbox / name).write_bytes(DATA)
    root = deep(tmp_path / "spool", ROOM + len("/claimed/"))
    spool = Spool(root, tmp_path / "done", tmp_path / "failed")
    claims: list[Claim] = []
    with spool.claiming(inbox / name, may_copy=False, exam="e" * 64) as claim:
        claims.append(claim)
    assert claims[0].name == os.fsencode(name)
    assert claims[0].path.read_bytes() == DATA
    assert name_before_claim(claims[0].path).decode("utf-8", "ignore").startswith("\u00fc" * 6)
    changed = spool.claim_anew(claims[0].path, os.fsencode(name))
    assert spool.rehash(changed).exam == "e" * 32


@given(st.binary(min_size=1, max_size=255))
def test_any_file_system_takes_a_plain_name_and_it_is_known_for_the_image_s(name: bytes) -> None:
    made = plain_archive_name(name, ID)
    assert made.startswith(f"image.{ID[:16]}")
    assert made.replace(".", "").isalnum()
    assert made.isascii()
    assert len(made) <= 31
    assert sender_name(made, ID)


@pytest.mark.parametrize("archived", ["film.ID.", "film.ID. ", "film.ID", "image.ID.dcm"])
def test_names_of_earlier_releases_are_known_still(archived: str) -> None:
    assert sender_name(archived.replace("ID", ID[:16]), ID) is not None
