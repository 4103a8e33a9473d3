"""
Every reach into the insides of another library, with the version that needs it.

`tests/edge/system/test_workarounds.py` fails as soon as one is needed no longer. Libraries are
imported where they are patched, so that a process loads only those that it uses.
"""

import importlib
import os
import queue
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import MQTTErrorCode

LAST_DATA_RECEIVED: Final = 52
"""Offset of tcpi_last_data_recv, in milliseconds, in Linux's struct tcp_info."""
TCP_INFO_BYTES: Final = 104
WAL_FRAMES: Final = 16
"""Offset of mxFrame in the index of SQLite's write-ahead log."""
WAL_SALTS: Final = 32
"""Offset of aSalt, two numbers, in the same index."""


def accept_byte_order_marks() -> None:
    """
    Let paho read strings with U+FEFF, which MQTT 5 allows and brokers pass on.

    paho-mqtt 2.1.0 to 2.2.0 ends the connection instead, and does so again for ever, because the
    broker delivers the message again.
    """
    vars(importlib.import_module("paho.mqtt.properties"))["readUTF"] = read_utf8


def read_utf8(buffer: bytes, most: int) -> tuple[str, int]:
    """
    Read a string of a packet as paho does, except that any character may be in it.

    Args:
        buffer: begins with the string's length, two bytes.
        most: how many bytes of it belong to the packet.

    Returns:
        The string, and how many bytes it takes.

    Raises:
        MQTTException: the string is longer than the packet.
    """
    length = int.from_bytes(buffer[:2], "big")
    if most < 2 or length > most - 2:  # noqa: PLR2004 - the length itself
        from paho.mqtt import MQTTException  # noqa: PLC0415 - see above

        msg = "a string is longer than what holds it"
        raise MQTTException(msg)
    return bytes(buffer[2 : 2 + length]).decode(), length + 2


def stop_loop(client: "Client") -> None:
    """
    Stop paho's thread, which may end while `loop_stop` looks for it.

    paho-mqtt 2.1.0 to 2.2.0 then raises AttributeError: eclipse-paho/paho.mqtt.python issue 872.
    """
    with suppress(AttributeError):
        client.loop_stop()


def outlive_packets(client: "Client", dropped: Callable[[str], None]) -> None:
    """
    Let a client go on after a packet that it cannot read, or whose message nobody could take.

    paho-mqtt 2.1.0 to 2.2.0 ends the connection at a PUBLISH with ill-formed text or a repeated
    property, and at other such packets its thread. The broker then delivers the same again for
    ever. So a PUBLISH is acknowledged and dropped; any other such packet ends the connection.

    Args:
        client: a paho client with manual acknowledgements.
        dropped: called in paho's thread with the name of the error.
    """
    from paho.mqtt.enums import MessageType, MQTTErrorCode  # noqa: PLC0415 - see above

    handle = client._packet_handle  # noqa: SLF001

    def outliving() -> "MQTTErrorCode":
        try:
            return handle()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's packet makes of it
            dropped(type(error).__name__)
            command = client._in_packet["command"]  # noqa: SLF001
            packet = client._in_packet["packet"]  # noqa: SLF001
        if command & 0xF0 != MessageType.PUBLISH:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        if not command & 0x06:  # QoS 0
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        start = 2 + int.from_bytes(packet[:2], "big")  # behind the topic
        if len(packet) < start + 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL  # nothing says what to acknowledge
        return client.ack(int.from_bytes(packet[start : start + 2], "big"), 1)

    client._packet_handle = outliving  # type: ignore[method-assign] # noqa: SLF001


def forget_packets(client: "Client") -> None:
    """Undo `outlive_packets` and `WithheldRelease`, which and the client hold each other."""
    for name in ("_packet_handle", "_handle_pubrec"):
        vars(client).pop(name, None)


class WithheldRelease:
    """
    PUBRECs of a client that answers none of them, so that the broker passes nothing on.

    paho-mqtt 2.1.0 to 2.2.0 has no public way to see PUBREC or to withhold PUBREL.

    Args:
        client: a paho client, whose handling of PUBREC is taken over for good.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.answers: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        """Packet identifier and reason code of each PUBREC."""
        client._handle_pubrec = self._note  # type: ignore[method-assign] # noqa: SLF001

    def _note(self) -> "MQTTErrorCode":
        from paho.mqtt.enums import MQTTErrorCode  # noqa: PLC0415 - see above

        packet = bytes(self._client._in_packet["packet"])  # noqa: SLF001
        code = packet[2] if len(packet) > 2 else 0  # noqa: PLR2004 - left out if it is 0
        self.answers.put((int.from_bytes(packet[:2], "big"), code))
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def silent_s(connection: socket.socket) -> float | None:
    """
    Return how long ago the kernel received anything on a TCP connection, in seconds.

    paho-mqtt 2.1.0 to 2.2.0 tells of whole packets only, and Python 3.11 to 3.13 hands out struct
    tcp_info as bytes. Its layout only ever grows at the end.

    Returns:
        Seconds, or None if the kernel does not say.
    """
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        (last_ms,) = struct.unpack_from("=I", info, LAST_DATA_RECEIVED)
    except (OSError, struct.error):
        return None
    return float(last_ms) / 1000


def wal_position(index: int) -> bytes:
    """
    Read how far SQLite's write-ahead log has come, from its index in shared memory.

    Python 3.11 to 3.13 has no binding to sqlite3_wal_hook, and SQLite no call that gives the salts.
    https://www.sqlite.org/walformat.html

    Args:
        index: a descriptor of the file that ends in `-shm`.

    Returns:
        Number of frames and two salts, 12 bytes in the byte order of the machine.
    """
    return os.pread(index, 4, WAL_FRAMES) + os.pread(index, 8, WAL_SALTS)
