"""An association has a time for its request, for each object, and in all."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.config.dicom import Dicom
from edge.dicom.receive.limits import CUT_S, GRACE_S, Limits
from tests.support.receiver import (
    CALLER,
    MAMMOGRAM,
    Receiver,
    command,
    data_set,
    fragment,
    request,
)
from tests.support.rig import PATIENCE_S, until

ABORT = 7
"""The type of an A-ABORT."""


class Peer:
    """An association at 0 s, and what is done to it."""

    def __init__(self, *, asked: bool = True, begun: float | None = None) -> None:
        self.done: list[str] = []
        requestor = SimpleNamespace(primitive=asked or None)
        association: Any = SimpleNamespace(requestor=requestor, is_established=asked)
        dimse: Any = SimpleNamespace(
            begun=begun, unanswered=0, end=lambda _, why: self.done.append(why)
        )
        settings = Dicom(object_s=100, association_s=1000)
        self.dimse = dimse
        self.limits = Limits(settings, association, dimse, lambda: self.done.append("cut"), 0.0)


def test_what_has_come_is_answered_before_a_long_association_ends() -> None:
    peer = Peer()
    peer.dimse.unanswered = 1
    peer.limits.look(1001.0)
    assert peer.done == []
    peer.dimse.unanswered = 0
    peer.limits.look(1001.0)
    assert peer.done == ["an association of more than 1000 s: [dicom] association_s"]


def test_who_asks_for_nothing_is_cut_however_its_request_drips() -> None:
    peer = Peer(asked=False)
    peer.limits.look(CUT_S)
    assert peer.done == []
    peer.limits.look(CUT_S + 1)
    assert peer.done == ["cut"]


def test_an_object_has_its_time_whenever_it_began_and_an_abort_has_little() -> None:
    peer = Peer(begun=500.0)
    peer.limits.look(600.0)
    assert peer.done == []
    peer.limits.look(600.5)
    peer.limits.look(600.5 + GRACE_S)
    assert peer.done == ["an object took more than 100 s: [dicom] object_s"]
    peer.limits.look(601.0 + GRACE_S)
    assert peer.done[1:] == ["cut"]


def test_an_association_is_too_long_only_between_two_objects() -> None:
    peer = Peer(begun=950.0)
    peer.limits.look(1001.0)
    assert peer.done == []
    peer.dimse.begun = None
    peer.limits.look(1001.0)
    assert peer.done == ["an association of more than 1000 s: [dicom] association_s"]


@pytest.mark.parametrize("limit", ["object_s", "association_s"])
def test_half_an_object_and_an_idle_association_are_aborted_told_of_and_leave_nothing(
    tmp_path: Path, limit: str
) -> None:
    settings = f'callers = ["{CALLER}@127.0.0.0/8"]\n{limit} = 0.5'
    with Receiver(tmp_path / "slow", settings) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S) as peer:
            peer.sendall(request())
            heard = peer.recv(65536)
            if limit == "object_s":
                peer.sendall(fragment(3, 3, command(1, MAMMOGRAM)) + fragment(3, 0, data_set(1)))
            while more := peer.recv(65536):
                heard += more
        assert heard[-10:][:2] == bytes([ABORT, 0])
        until(lambda: f"[dicom] {limit}" in receiver.words(), "told", receiver.words)
        until(lambda: receiver.left() == [], "nothing is left", receiver.words)
