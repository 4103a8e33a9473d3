"""Those who may not come in, and those who come in to do harm."""

import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from edge.dicom.receive.services import VERIFICATION
from tests.support.receiver import (
    CALLER,
    EXPLICIT,
    MAMMOGRAM,
    US,
    Receiver,
    association,
    command,
    contexts,
    conversation,
    data_set,
    echoed,
    fragment,
    request,
    sent,
    written,
)
from tests.support.rig import PATIENCE_S, until

pytestmark = pytest.mark.usefixtures("as_it_stands")

REJECTED: Final = 3
ABORTED: Final = 7
"""Types of PDUs."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(
        tmp_path_factory.mktemp("receiver"),
        f'associations = 64\ncallers = ["{CALLER}@127.0.0.1/32", "OTHER@127.0.0.2/32"]',
    ) as made:
        yield made


def is_unharmed(receiver: Receiver) -> None:
    """Wait until the receiver answers, and has nothing left of anybody, nor their places."""
    receiver.leaves_nothing()
    until(lambda: echoed(receiver), "it answers", receiver.words)


def test_nobody_may_send_until_a_caller_is_named(tmp_path: Path) -> None:
    with Receiver(tmp_path / "new", "") as receiver:
        with association(receiver) as made:
            assert not made.is_established
        receiver.says("every association is refused")
        receiver.says('event=connection_refused peer=127.0.0.1 why="[dicom] callers names nobody"')


@pytest.mark.parametrize(
    ("calling", "called", "reason"), [("STRANGER", US, 3), ("OTHER", US, 3), (CALLER, "OTHER", 7)]
)
def test_an_ae_title_that_is_unknown_or_comes_from_elsewhere_is_rejected_with_the_reason(
    receiver: Receiver, calling: str, called: str, reason: int
) -> None:
    with association(receiver, calling=calling, called=called) as made:
        assert made.is_rejected
        answer = made.acceptor.primitive
        assert answer is not None
        assert answer.diagnostic == reason


def test_a_caller_comes_in_from_its_own_network(receiver: Receiver) -> None:
    with association(receiver, calling="OTHER", bound_to="127.0.0.2") as made:
        assert made.is_established


def test_an_address_of_nobody_s_network_is_closed_before_a_byte_is_read(receiver: Receiver) -> None:
    with socket.create_connection(
        ("127.0.0.1", receiver.port), timeout=PATIENCE_S, source_address=("127.0.0.3", 0)
    ) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "title", [b"", b" " * 16, b"\0" * 16, b"MAMMO1\0", b"A\\B", b"\xff" * 16, b"A\nlevel=ERROR"]
)
def test_an_ae_title_that_is_blank_or_none_gets_no_association_and_no_line_of_its_own(
    receiver: Receiver, title: bytes
) -> None:
    for asked in (request(calling=title), request(called=title)):
        assert conversation(receiver, asked)[:1] in {b"", bytes([REJECTED]), bytes([ABORTED])}
    assert all(line.startswith("level=") for line in receiver.words().splitlines())
    assert not re.search(r"^level=ERROR[^ ]", receiver.words(), re.MULTILINE)
    is_unharmed(receiver)


def test_silent_clients_keep_nobody_waiting(receiver: Receiver) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port)))
        until(lambda: echoed(receiver), "it answers", receiver.words)


def test_an_address_that_has_half_of_all_connections_gets_no_more_and_others_do(
    tmp_path: Path,
) -> None:
    callers = f'associations = 4\ncallers = ["{CALLER}@127.0.0.0/8"]'
    with Receiver(tmp_path / "few", callers) as receiver, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", receiver.port)))
        with association(receiver) as made:
            assert not made.is_established
        with association(receiver, bound_to="127.0.0.2") as made:
            assert made.is_established


def test_a_connection_that_was_closed_counts_no_more(tmp_path: Path) -> None:
    callers = f'associations = 2\ncallers = ["{CALLER}@127.0.0.0/8"]'
    with Receiver(tmp_path / "one", callers) as receiver:
        for _ in range(5):
            conversation(receiver)
            until(lambda: echoed(receiver), "the place is free", receiver.words)


ECHO: Final = fragment(1, 3, command(0x30, VERIFICATION, data=False))
STORE: Final = fragment(3, 3, command(0x01, MAMMOGRAM))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x04\0\xff\xff\xff\xff", "a PDU of more than 131072 bytes"),
        (b"\x05\0\0\x01\0\0", "a PDU of more than 1024 bytes"),
        (fragment(3, 2, b"data"), "a data set without a command"),
        (fragment(3, 3, command(0x20, MAMMOGRAM)), "command 0020, expected C-ECHO, or C-STORE"),
        (fragment(3, 3, command(0x01, VERIFICATION)), "another SOP class than its context"),
        (fragment(1, 3, command(0x01, MAMMOGRAM)), "another SOP class than its context"),
        (fragment(3, 3, command(0x01, MAMMOGRAM, uid="../../etc/x")), "a UID in a command that"),
        (fragment(3, 3, command(0x01, MAMMOGRAM, data=False)), "command 0001, expected C-ECHO"),
        (fragment(3, 1, b"\0" * 20_000), "a command of more than 16384 bytes"),
        (fragment(3, 3, b"\0\0\x02\0\xff\xff\xff\xff"), "a command set that is none"),
        (fragment(3, 3, b"\0\0\x00\x01\x02\0\0\0\x01\0"), "a command without element 0110"),
        (STORE + fragment(3, 3, b"more"), "a command amid a data set"),
        (STORE + fragment(1, 0, b"data"), "of another context than its message"),
        (STORE + fragment(3, 0, data_set(1)), ""),
        (ECHO * 2000, ""),
    ],
)
def test_a_peer_that_breaks_the_rules_is_cut_off_told_of_and_leaves_nothing(
    receiver: Receiver, said: bytes, why: str
) -> None:
    """Half an object breaks no rule, nor does a flood of requests: they lead nowhere."""
    conversation(receiver, request(), said)
    assert receiver.received() == []
    receiver.says(why)
    is_unharmed(receiver)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes with some of them replaced, taken out or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice([0, 1, 3, 30])):
        place = chance.randrange(len(changed))
        changed[place : place + chance.choice([0, 1, 4])] = chance.randbytes(
            chance.choice([0, 1, 4])
        )
    return bytes(changed)


def test_random_damage_to_a_conversation_harms_nobody(receiver: Receiver) -> None:
    chance = random.Random(16)  # noqa: S311 - the same each time
    more = ECHO + STORE + fragment(3, 0, data_set(1)) + fragment(3, 2, b"\0" * 100) + ECHO
    for _ in range(75):
        conversation(receiver, damaged(request(), chance))
        conversation(receiver, request(), damaged(more, chance))
    for path in receiver.received():  # whose damage was in the data set, or in a reserved byte
        path.unlink()
    is_unharmed(receiver)


def context(abstract: bytes | None, *transfers: bytes) -> bytes:
    """The bytes of a presentation context, which may lack what each has."""

    def item(kind: int, value: bytes) -> bytes:
        return bytes([kind, 0]) + len(value).to_bytes(2, "big") + value

    syntaxes = b"" if abstract is None else item(0x30, abstract)
    return item(0x20, b"\x01\0\0\0" + syntaxes + b"".join(item(0x40, one) for one in transfers))


def test_requests_that_cannot_be_answered_keep_no_place(receiver: Receiver) -> None:
    """Their peers hold the connection, and pynetdicom fails at them without an end."""
    whole, offered = request(), VERIFICATION.encode()
    # The fixed fields, the application context, then the user information behind the contexts.
    begin = whole[: 78 + int.from_bytes(whole[76:78], "big")]
    rest = whole[whole.index(b"\x50\0", len(begin)) :]
    with ExitStack() as stack:
        held = []
        for odd in (
            context(offered),
            context(None, EXPLICIT.encode()),
            context(offered, b""),
            context(None),
        ):
            body = begin[6:] + odd + rest
            asked = begin[:2] + len(body).to_bytes(4, "big") + body
            peer = socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S)
            held.append(stack.enter_context(peer))
            peer.sendall(asked)
        for peer in held:
            while peer.recv(65536):
                pass
    receiver.says('why="its request cannot be answered"')
    is_unharmed(receiver)


def test_a_whole_object_is_taken_from_a_peer_that_hangs_up_at_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    with association(receiver, offered=contexts()) as made:
        assert sent(made, written(tmp_path, 1)) == 0
        made.abort()
    (found,) = receiver.received()
    found.unlink()
    is_unharmed(receiver)
