"""
With TLS the broker is who it says it is, or nothing is said to it: version, authority and name.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config.settings import Broker as BrokerSettings
from edge.config.settings import Tls
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.tls import tls_context
from tests.support.certificates import make_certificates
from tests.support.rig import PATIENCE_S, until

TOO_OLD = "ALL:@SECLEVEL=0"
"""What OpenSSL must be told before it offers TLS 1.1 at all."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    for below, words in (
        ("ours", ["ca", "Ours"]),
        ("ours", ["broker", "localhost"]),
        ("other", ["ca", "Other"]),
    ):
        make_certificates(folder / below, *words)
    return folder


class Listener:
    """A TLS server that notes what comes after the handshake, and hangs up."""

    def __init__(self, certificates: Path, newest: ssl.TLSVersion) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(
            certificates / "ours/broker.crt", certificates / "ours/broker.key"
        )
        self.context.set_ciphers(TOO_OLD)
        self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        self.context.maximum_version = newest
        self.heard: list[bytes] = []
        self.socket = socket.create_server(("localhost", 0))
        self.port = int(self.socket.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            plain.settimeout(PATIENCE_S)
            try:
                with plain, self.context.wrap_socket(plain, server_side=True) as wire:
                    self.heard.append(wire.recv(1))
            except OSError:
                self.heard.append(b"")


@contextmanager
def listening(certificates: Path, newest: ssl.TLSVersion) -> Iterator[Listener]:
    server = Listener(certificates, newest)
    server.thread.start()
    try:
        yield server
    finally:
        server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()
        server.thread.join(PATIENCE_S)
        assert not server.thread.is_alive()


def first_words(server: Listener, host: str, ca: Path) -> tuple[bytes, str]:
    """
    What the device says to a broker in clear after the handshake, and its reason where it does not.
    """
    health = Health()
    settings = BrokerSettings(host=host, port=server.port, tls=Tls(enabled=True, ca=ca))
    broker = MqttClient(
        settings,
        password="geheim",  # noqa: S106
        client_id="edge",
        will=None,
        health=health,
        max_incoming=2**20,
    )
    broker.start()
    try:
        until(lambda: server.heard and health.reasons, "tried")
    finally:
        broker.stop()
    return server.heard[0], health.reasons[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)  # paho's, after a refusal
@pytest.mark.parametrize(
    ("newest", "host", "authority", "said"),
    [
        (ssl.TLSVersion.TLSv1_3, "localhost", "ours", b"\x10"),
        (ssl.TLSVersion.TLSv1_2, "localhost", "ours", b"\x10"),
        (ssl.TLSVersion.TLSv1_1, "localhost", "ours", b""),
        (ssl.TLSVersion.TLSv1_3, "127.0.0.1", "ours", b""),
        (ssl.TLSVersion.TLSv1_3, "localhost", "other", b""),
    ],
    ids=["tls 1.3", "tls 1.2", "tls 1.1", "another name", "another authority"],
)
def test_nothing_is_said_to_a_broker_of_an_old_version_another_name_or_another_authority(
    certificates: Path, newest: ssl.TLSVersion, host: str, authority: str, said: bytes
) -> None:
    with listening(certificates, newest) as server:
        heard, reason = first_words(server, host, certificates / authority / "ca.crt")
    assert heard == said
    assert reason.startswith("broker: ")


def test_the_context_asks_for_a_certificate_of_that_name_whatever_the_configuration(
    certificates: Path,
) -> None:
    for tls in (Tls(enabled=True), Tls(enabled=True, ca=certificates / "ours/ca.crt")):
        context = tls_context(BrokerSettings(tls=tls))
        assert (context.check_hostname, context.verify_mode, context.minimum_version) == (
            True,
            ssl.CERT_REQUIRED,
            ssl.TLSVersion.TLSv1_2,
        )
