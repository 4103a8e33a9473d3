"""
Make mutated MQTT messages to a daemon, among them what a real broker would filter.
"""

import itertools
import json
import random
from collections.abc import Iterator
from typing import Final

from deploy.demo.daemon import TOPICS
from tests.support.scripted import publish, string

TARGETS: Final = (
    "request/image",
    "request/ref",
    "command/replay",
    "command/model/list",
    "command/model/rollback",
)
TEXTS: Final = (
    b"{}",
    b'{"name": "film.png", "sha256": "' + b"0" * 64 + b'"}',
    b'{"name": "\\ud83d.png", "sha256": "' + b"0" * 64 + b'"}',
    json.dumps({"name": "a/" * 5000, "sha256": "0" * 64}).encode(),
    json.dumps({"name": "../state/lock", "sha256": "f" * 64}).encode(),
    b'{"since": 99999999999999999999, "limit": 1}',
    b'{"since": "9999-12-31", "limit": -1}',
    b'{"bundle": "' + b"\xf0\x9f\xa9\xbb" * 100 + b'"}',
    b"[" * 70_000,
    b'{"name": 1e999, "sha256": NaN}',
)
PROPERTIES: Final = (
    b"",
    b"\x08" + string(f"{TOPICS}/result".encode()),
    b"\x08" + string(b"mammo/v1/demo/ws/" + b"a/" * 250),
    b"\x08" + string(b"mammo/v1/demo/ws/x") + b"\x09" + string(b"order"),
    b"\x08" + string(b"mammo/v1/demo/ws/\xed\xa0\xbd"),
    b"\x08" + string(b"mammo/#") + b"\x08" + string(b"mammo/y"),
    b"\x26" + string(b"note") + string(b"\xff"),
    b"\x02\x00\x00\x00\x01" + b"\x01\x07",
    b"\x7f\x00",
)


def messages(seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield a mutated PUBLISH each time, without end, and its packet identifier, 0 at QoS 0."""
    for number in itertools.count():
        rng = random.Random(seed + number)  # noqa: S311 - not for secrets
        topic = f"{TOPICS}/{rng.choice(TARGETS)}".encode()
        payload = rng.choice((*TEXTS, rng.randbytes(rng.choice((0, 1, 50, 100_000)))))
        properties = rng.choice(PROPERTIES) if rng.random() < 0.5 else b""
        if rng.random() < 0.3:
            payload, properties = _mutated(payload, rng), _mutated(properties, rng)
        mid = 1 + number % 60_000 if rng.random() < 0.8 else 0
        again, kept = rng.random() < 0.2, rng.random() < 0.1
        yield mid, publish(topic, payload, mid, properties=properties, dup=again, retain=kept)


def _mutated(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(3):
            case 0:
                del changed[at : at + rng.randrange(1, 20)]
            case 1:
                changed[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                changed[at : at + 1] = rng.randbytes(1)
    return bytes(changed)
