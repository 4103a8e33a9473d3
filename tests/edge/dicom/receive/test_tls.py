"""With TLS nobody comes in without a certificate of the clinic's authority."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.receiver import (
    CALLER,
    Receiver,
    association,
    conversation,
    request,
    sent,
    written,
)
from tests.support.rig import until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for below, words in (
        ("ours", ["ca", "Ours"]),
        ("ours", ["broker", "127.0.0.1"]),
        ("ours", ["person", "mammo1"]),
        ("other", ["ca", "Other"]),
        ("other", ["person", "mammo1"]),
    ):
        make_certificates(folder / below, *words)
    return folder


@pytest.fixture(scope="module")
def receiver(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    ours = certificates / "ours"
    with Receiver(
        tmp_path_factory.mktemp("receiver"),
        f'callers = ["{CALLER}"]\nca = "{ours}/ca.crt"\n'
        f'cert = "{ours}/broker.crt"\nkey = "{ours}/broker.key"',
    ) as made:
        yield made


def client(certificates: Path, own: str | None) -> ssl.SSLContext:
    """What a sender knows: our authority, and a certificate of its own."""
    context = ssl.create_default_context(cafile=str(certificates / "ours/ca.crt"))
    if own is not None:
        context.load_cert_chain(certificates / f"{own}.crt", certificates / f"{own}.key")
    return context


@pytest.mark.usefixtures("as_it_stands")
def test_a_sender_with_a_certificate_sends_large_objects(
    receiver: Receiver, certificates: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, 1, size=3_000_000)
    with association(receiver, tls=client(certificates, "ours/mammo1")) as made:
        assert [sent(made, file), sent(made, file)] == [0, 0]
    assert [path.read_bytes() == file.read_bytes() for path in receiver.received()] == [True, True]


@pytest.mark.parametrize("own", [None, "other/mammo1"])
def test_nobody_comes_in_without_a_certificate_of_the_authority(
    receiver: Receiver, certificates: Path, own: str | None
) -> None:
    with association(receiver, tls=client(certificates, own)) as made:
        assert not made.is_established
    refused = 'why="no TLS with a certificate of the authority"'
    until(lambda: refused in receiver.words(), "told", receiver.words)


def test_nobody_comes_in_in_clear(receiver: Receiver) -> None:
    assert b"\x02" not in conversation(receiver, request())[:1]
    with association(receiver) as made:
        assert not made.is_established


def test_clients_that_never_shake_hands_keep_nobody_waiting(
    receiver: Receiver, certificates: Path
) -> None:
    with ExitStack() as stack:
        for number in range(7):
            silent = socket.create_connection(("127.0.0.1", receiver.port))
            stack.enter_context(silent)
            silent.sendall(b"\x16\x03\x01" * (number % 2))
        with association(receiver, tls=client(certificates, "ours/mammo1")) as made:
            assert made.send_c_echo().Status == 0
