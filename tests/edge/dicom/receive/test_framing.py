"""PDUs are followed however the bytes come, and refused when they are too long or too slow."""

import pytest

from edge.contract.receiver import Aborted
from edge.dicom.receive.framing import HEAD, MOST_ASSOCIATE, WITHIN_S, FrameError, Framing


def pdu(kind: int, length: int) -> bytes:
    return bytes([kind, 0]) + length.to_bytes(4, "big") + bytes(length)


@pytest.mark.parametrize("step", [1, 5, 6, 7, 1000])
def test_pdus_pass_in_pieces_of_any_size(step: int) -> None:
    framing = Framing(100, lambda _, why: pytest.fail(why))
    stream = pdu(1, 300) + pdu(4, 100) + pdu(4, 0) + pdu(5, 4) + pdu(4, 1)
    for place in range(0, len(stream), step):
        framing.took(stream[place : place + step], 0.0)
    framing.took(b"", WITHIN_S + 1)


@pytest.mark.parametrize(
    ("kind", "length"), [(4, 101), (1, MOST_ASSOCIATE + 1), (5, 1025), (4, 2**32 - 1), (0, 2**31)]
)
def test_a_pdu_that_is_too_long_is_refused_at_its_head(kind: int, length: int) -> None:
    told: list[Aborted] = []
    with pytest.raises(FrameError, match="a PDU of more than"):
        Framing(100, lambda cause, _: told.append(cause)).took(
            bytes([kind, 0]) + length.to_bytes(4, "big"), 0.0
        )
    assert told == [Aborted.PROTOCOL]


def test_a_pdu_that_comes_byte_by_byte_is_refused_once_its_time_is_over() -> None:
    told: list[Aborted] = []
    framing = Framing(100, lambda cause, _: told.append(cause))
    framing.took(pdu(4, 100), 0.0)
    for second in range(int(WITHIN_S)):
        framing.took(pdu(4, 100)[second : second + 1], 100.0 + second)
    assert told == []
    with pytest.raises(FrameError, match="took more than 30 s"):
        framing.took(b"\0", 100.0 + WITHIN_S + HEAD)
    assert told == [Aborted.TOO_SLOW]
