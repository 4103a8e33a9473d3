"""An object may come without end: none of it is held in memory, and it is cut off at the limit."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from edge.dicom.receive.command import STORE
from edge.dicom.receive.dimse import LAST, OF_COMMAND
from tests.support.receiver import MAMMOGRAM, Receiver, command, data_set, fragment, request
from tests.support.rig import PATIENCE_S, until

MB: Final = 2**20
PIECE: Final = 100_000
CONTEXT: Final = 3
"""The number of the presentation context of mammograms in `request`."""
SPARE: Final = 24 * MB
"""Memory that a receiver may take for its connections, threads and buffers."""


def peak(receiver: Receiver) -> int:
    """Read the most memory that a receiver ever had resident, in bytes."""
    status = Path(f"/proc/{receiver.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def object_of(size: int) -> Iterator[bytes]:
    """Make the PDUs of a C-STORE request with an object of so many bytes, piece by piece."""
    yield fragment(CONTEXT, OF_COMMAND | LAST, command(STORE, MAMMOGRAM))
    head = data_set(1)
    yield fragment(CONTEXT, 0, head)
    middle, left = fragment(CONTEXT, 0, bytes(PIECE)), size - len(head)
    while left > PIECE:
        yield middle
        left -= PIECE
    yield fragment(CONTEXT, LAST, bytes(left))


def stream(receiver: Receiver, size: int) -> tuple[int, bytes]:
    """Send an object; returns the bytes that went before the other end hung up, and its answer."""
    went, heard = 0, b""
    address = "127.0.0.1", receiver.port
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        connection.sendall(request())
        connection.recv(65536)
        try:
            for pdu in object_of(size):
                connection.sendall(pdu)
                went += len(pdu)
            heard = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return went, b""
    return went, heard


def test_an_object_of_ten_gigabytes_is_cut_off_at_the_limit_and_never_held(tmp_path: Path) -> None:
    limit, size = 64, 10 * 1024 * MB
    with Receiver(tmp_path / "r", more=f"[worker]\nmax_file_mb = {limit}") as receiver:
        stream(receiver, MB)
        until(lambda: len(receiver.received()) == 1, "a small one is taken", receiver.words)
        before = peak(receiver)
        went, heard = stream(receiver, size)
        assert limit * MB < went < size / 2  # what comes until it hangs up is passed over
        assert b"\x07\0\0\0\0\x04" in heard or heard == b""  # an A-ABORT, if it came in time
        receiver.says(f'why="an object of more than {limit} MiB"')
        receiver.leaves_nothing()
        assert len(receiver.received()) == 1
        assert peak(receiver) - before < SPARE


@pytest.mark.slow
def test_an_object_below_the_limit_is_taken_whole_however_large_and_never_held(
    tmp_path: Path,
) -> None:
    size = 1024 * MB
    with Receiver(tmp_path / "r", more="[worker]\nmax_file_mb = 1100") as receiver:
        stream(receiver, MB)
        until(lambda: len(receiver.received()) == 1, "a small one is taken", receiver.words)
        before = peak(receiver)
        _, heard = stream(receiver, size)
        assert b"\0\0\0\x09\x02\0\0\0\0\0" in heard  # status: success
        sizes = sorted(path.stat().st_size for path in receiver.received())
        assert sizes[-1] > size
        assert peak(receiver) - before < SPARE
