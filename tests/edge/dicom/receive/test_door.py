"""Lines about strangers are few, and hold nothing of theirs unescaped."""

import logging
import time

import pytest

from edge.config.dicom import Dicom
from edge.contract.receiver import TurnedAway
from edge.dicom.receive.door import Door, address_of
from edge.dicom.receive.journal import Journal
from edge.dicom.receive.tally import Tally


def door_of(settings: Dicom) -> Door:
    return Door(settings, Journal(Tally(settings)))


def test_a_flood_of_refusals_is_one_line_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    settings = Dicom(callers=("A@10.0.0.0/8",))
    tally = Tally(settings)
    door = Door(settings, Journal(tally))
    for _ in range(1000):
        assert not door.enter(address_of("192.168.1.1"))
        assert door.refusal(address_of("10.0.0.1"), 'x" why=\n', "MAMMO_EDGE")
    assert len(caplog.messages) == 2
    assert tally.report().turned_away == {
        TurnedAway.UNKNOWN_ADDRESS: 1000,
        TurnedAway.CALLING_TITLE: 1000,
    }
    assert all(line.isprintable() for line in caplog.messages)
    assert 'calling="x??why??"' in caplog.messages[1]


def test_an_ipv4_address_is_the_same_on_a_socket_of_ipv6() -> None:
    door = door_of(Dicom(callers=("A@10.0.0.0/8",)))
    assert door.enter(address_of("::ffff:10.0.0.1"))
    assert door.refusal(address_of("::ffff:10.0.0.1"), "A", "MAMMO_EDGE") is None
    assert door.open == 1
    door.leave(address_of("10.0.0.1"))
    assert door.open == 0


def test_the_addresses_of_an_ipv6_network_count_as_one() -> None:
    door = door_of(Dicom(callers=("A@2001:db8::/32",), associations=4, connections_per_minute=3))
    assert door.enter(address_of("2001:db8::1"))
    assert door.enter(address_of("2001:db8::2"))
    assert not door.enter(address_of("2001:db8::3"))
    assert door.enter(address_of("2001:db8:0:1::1"))
    door.leave(address_of("2001:db8::2"))
    assert not door.enter(address_of("2001:db8::4"))  # the fourth in this minute
    assert door.open == 2


def test_link_local_addresses_are_of_many_machines_and_count_each_by_itself() -> None:
    door = door_of(Dicom(callers=("A@fe80::/10",), connections_per_minute=1))
    assert all(door.enter(address_of(f"fe80::{number}%eth0")) for number in range(1, 5))
    assert not door.enter(address_of("fe80::1%eth0"))


def test_an_address_that_opens_more_connections_in_a_minute_than_allowed_waits_alone() -> None:
    door = door_of(Dicom(callers=("A@10.0.0.0/8",), connections_per_minute=3))
    busy, quiet = address_of("10.0.0.1"), address_of("10.0.0.2")
    entered = []
    for _ in range(5):
        entered.append(door.enter(busy))
        if entered[-1]:
            door.leave(busy)
    assert entered == [True, True, True, False, False]
    assert door.enter(quiet)
    with pytest.MonkeyPatch.context() as patch:
        later = time.monotonic() + 61.0
        patch.setattr("edge.dicom.receive.door.time.monotonic", lambda: later)
        assert door.enter(busy)
