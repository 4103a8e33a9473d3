"""Run the real `mammo-edge receive`, and send to it with pynetdicom or with one's own bytes."""

import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext, build_context

from edge.dicom.receive.part10 import head
from edge.dicom.receive.services import STORAGE, SYNTAXES, VERIFICATION
from tests.support.rig import PATIENCE_S, PROGRAM, until

CALLER: Final = "MAMMO1"
US: Final = "MAMMO_EDGE"
MAMMOGRAM: Final = STORAGE[0]
EXPLICIT: Final = SYNTAXES[0]
MARKER: Final = "PATIENT^SECRET"
"""A name that must not come out."""


class Receiver:
    """A receiver with an inbox of its own, on a port that the system chooses."""

    def __init__(
        self,
        folder: Path,
        dicom: str = f'callers = ["{CALLER}@127.0.0.0/8"]',
        *,
        more: str = "",
        before: Sequence[str] = (),
        inbox: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.inbox = inbox or folder / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.unfinished = self.inbox / ".dicom"
        self.config = folder / "edge.toml"
        self.log = folder / "receiver.log"
        self.report = folder / "report.json"
        self.config.write_text(
            f'[inbox]\npath = "{self.inbox}"\n{more}\n[log]\nlevel = "debug"\n'
            '[dicom]\nlisten = "127.0.0.1:0"\nconnections_per_minute = 100000\n'
            f'report = "{self.report}"\n{dicom}\n'
        )
        self.before = before
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Start, and wait until it listens."""
        environ = {name: text for name, text in os.environ.items() if "MAMMO_EDGE_" not in name}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.before, PROGRAM, "--config", self.config, "receive"],
                env=environ,
                stderr=log,
            )
        until(lambda: self.ended or self._listening(), "the receiver listens", self.words)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process by a signal; returns its exit status."""
        if not self.ended:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()  # else it would run on beside the tests that follow
            self.process.wait()
            raise

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def words(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until it has logged a text: others hear of an end before the log does."""
        until(lambda: text in self.words(), f"it says {text}", self.words)

    def leaves_nothing(self) -> None:
        """Wait until there is no unfinished file: its sender may hear of the end before."""
        until(lambda: self.left() == [], "nothing is left", self.words)

    def received(self) -> list[Path]:
        """The files in the inbox."""
        return sorted(path for path in self.inbox.iterdir() if path != self.unfinished)

    def left(self) -> list[str]:
        """The names of unfinished files."""
        return [path.name for path in self.unfinished.iterdir()]

    def _listening(self) -> bool:
        found = re.search(r"event=listening .*port=(\d+)\s", self.words())
        self.port = int(found[1]) if found else 0
        return bool(found)


def contexts(
    classes: Sequence[str] = (VERIFICATION, MAMMOGRAM), syntaxes: Sequence[str] = (EXPLICIT,)
) -> list[PresentationContext]:
    """One presentation context for each class and syntax, so that none is left to choose."""
    return [build_context(one, syntax) for one in classes for syntax in syntaxes]


@contextmanager
def association(  # noqa: PLR0913 - by keyword
    receiver: Receiver,
    *,
    calling: str = CALLER,
    called: str = US,
    offered: Sequence[PresentationContext] = (),
    bound_to: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> Iterator[Association]:
    """Ask for an association; it is released at the end, if there is one."""
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = PATIENCE_S
    made = ae.associate(
        "127.0.0.1",
        receiver.port,
        list(offered) or contexts(),
        called,
        tls_args=(tls, "127.0.0.1") if tls else None,
        bind_address=(bound_to, 0),
    )
    try:
        yield made
    finally:
        if made.is_established:
            made.release()
        if made.ident is not None:
            made.join(PATIENCE_S)
        made.dul.join(PATIENCE_S)
        if made.dul.socket is not None and made.dul.socket.socket is not None:
            made.dul.socket.socket.close()  # pynetdicom leaves it open at some ends


@contextmanager
def as_it_stands() -> Iterator[None]:
    """Have pynetdicom send files without decoding them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
        yield


def instance(number: int) -> str:
    """The UID of an object."""
    return f"1.2.826.0.1.3680043.8.498.77.{number}"


def data_set(number: int, size: int = 2000) -> bytes:
    """Bytes that nobody should look at, with a patient's name in them."""
    return (
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100"
        + MARKER.encode()
        + number.to_bytes(4, "big") * (size // 4)
    )


def written(folder: Path, number: int, syntax: str = EXPLICIT, size: int = 2000) -> Path:
    """Write an object as the receiver should; pynetdicom sends its data set as it stands there."""
    path = folder / f"{number}-{syntax}.dcm"
    path.write_bytes(head(MAMMOGRAM, instance(number), syntax) + data_set(number, size))
    return path


def sent(made: Association, path: Path) -> int | None:
    """Send a file; returns the status, None if there was no answer."""
    status: int | None = made.send_c_store(path).get("Status")
    return status


def echoed(receiver: Receiver) -> bool:
    """Tell if the receiver answers a C-ECHO."""
    with association(receiver) as made:
        return made.is_established and made.send_c_echo().get("Status") == 0


def request(calling: bytes = CALLER.encode(), called: bytes = US.encode()) -> bytes:
    """The bytes of an A-ASSOCIATE-RQ, with AE titles that pynetdicom would not send."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title = asked.called_ae_title = "X"
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16382
    implementation.implementation_class_uid = "1.2.3"
    asked.user_information = [longest, implementation]
    offered = contexts()
    for number, one in enumerate(offered):
        one.context_id = 2 * number + 1
    asked.presentation_context_definition_list = offered
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    encoded = pdu.encode()
    return encoded[:10] + called.ljust(16)[:16] + calling.ljust(16)[:16] + encoded[42:]


def fragment(context: int, control: int, data: bytes) -> bytes:
    """The bytes of a P-DATA-TF with one fragment."""
    value = bytes([context, control]) + data
    item = len(value).to_bytes(4, "big") + value
    return b"\x04\0" + len(item).to_bytes(4, "big") + item


def command(field: int, sop_class: str, *, data: bool = True, uid: str = instance(1)) -> bytes:
    """The bytes of a command set."""
    values = {
        0x0002: sop_class.encode() + b"\0" * (len(sop_class) % 2),
        0x0100: field.to_bytes(2, "little"),
        0x0110: b"\x01\0",
        0x0700: b"\0\0",
        0x0800: b"\x01\0" if data else b"\x01\x01",
        0x1000: uid.encode() + b"\0" * (len(uid) % 2),
    }
    return b"".join(
        b"\0\0" + tag.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
        for tag, value in values.items()
    )


def conversation(receiver: Receiver, first: bytes = b"", then: bytes = b"") -> bytes:
    """Say something, and more once an answer began; return all that comes until the other end."""
    heard = b""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(first)
            if then:
                heard = connection.recv(65536)
                connection.sendall(then)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                heard += more
        except OSError as error:  # it hung up first
            if isinstance(error, TimeoutError):
                raise
    return heard
