"""
Identity stays inside: what a DICOM file, its name and its folder say of a patient comes out
nowhere.

Meant to leave the device: every topic, payload and property; the log; status and health; what the
commands print; the JSON lines file; the result beside an archived file; every column of the ledger
but those in LOCAL; pictures of `classify --explain`. Not meant to, and looked for to see that the
markers were there at all: the columns in LOCAL, and the names in the archive, by which a person
finds the file again.
"""

import hmac
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.storage.ledger.database import FILE
from tests.support import crashing
from tests.support.films import film
from tests.support.planted import MARKERS, SOP, STUDY, WORD, found_in, planted
from tests.support.rig import TOPICS, Rig, run_command, sha256, until

LOCAL: Final = {
    ("images", "path"),
    ("images", "name"),
    ("submissions", "claim"),
    ("origins", "path"),
}
"""
Columns of the ledger that never leave the device: where the file is, and what its sender called it.
"""
KEY: Final = b"0123456789abcdef-a key of the clinic"
NAME: Final = f"{WORD}^{MARKERS[1]} {MARKERS[2]}.dcm"
COMMANDS: Final = ("status", "status --json", "results", "results --json")
REPLY: Final = "mammo/v1/demo/ws/reply"


@pytest.fixture
def keyed(tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber) -> Iterator[Rig]:
    """
    A daemon that logs all it can, writes JSON lines, knows a key for subjects, and has a decoder
    with a defect.
    """
    (tmp_path / "key").write_bytes(KEY)
    config = (
        '\n[log]\nlevel = "debug"\n[publish]\njsonl = '
        f'"{tmp_path}/results.jsonl"\nsubject_key_file = "{tmp_path}/key"\nhealth_s '
        '= 0.2\n[intake]\nfeedback = ["biopsy"]\n'
    )
    rig = Rig(
        tmp_path / "edge",
        mosquitto.port,
        subscriber,
        config,
        before=[sys.executable, crashing.__file__],
    )
    yield rig
    if rig.running:
        rig.stop()


def drop(rig: Rig, number: int, data: bytes) -> str:
    """Into a folder of the inbox whose name says who it is."""
    folder = rig.inbox / f"{WORD}-{number}"
    folder.mkdir()
    return rig.drop(f"{folder.name}/{NAME}", data)


def send_all(rig: Rig, subscriber: Subscriber) -> dict[str, str]:
    """
    By folder, over MQTT and by reference: what is scored, what is refused, what takes a worker
    down. Outcome by image id.
    """
    pixels, expected = film().pixels, {}
    files = [planted(pixels, number=0), planted(pixels, number=1), planted(pixels, number=2)]
    files += [planted(pixels, number=number, everywhere=True) for number in (3, 4)]
    files += [planted(pixels, number=number, trailer=crashing.CRASH) for number in (5, 6)]
    for number, data in enumerate(files):
        expected[sha256(data)] = (
            "scored" if number < 3 else "not a mammogram" if number < 5 else "poison"
        )
        if number in {0, 3, 5}:
            drop(rig, number, data)
        elif number in {1, 4, 6}:
            subscriber.publish(f"{TOPICS}/request/image", data, f"{REPLY}/{number}")
    (rig.inbox / f"{NAME}.part").write_bytes(files[2])
    for name, digest in ((f"{NAME}.part", sha256(files[2])), (f"../{NAME}", "0" * 64)):
        request = json.dumps({"name": name, "sha256": digest}).encode()
        subscriber.publish(f"{TOPICS}/request/ref", request, f"{REPLY}/ref")
        expected.setdefault(sha256(request) if digest == "0" * 64 else digest, "missing")
    return expected


def judge(subscriber: Subscriber, image_ids: list[str]) -> None:
    """Give verdicts, one of them with a marker in a field that has no place there."""
    for number, image_id in enumerate(image_ids):
        verdict = {"schema": "mammo.feedback/1", "image_id": image_id, "truth": "benign"}
        verdict |= {"basis": "biopsy" if number else WORD, "patient": WORD}
        said = json.dumps({**verdict, "score_seen": True}).encode()
        subscriber.publish(f"{TOPICS}/feedback", said)
    answers = subscriber.wait_under("feedback/ack", len(image_ids))
    assert [answer["ok"] for answer in answers] == [False, *[True] * (len(image_ids) - 1)]


def said_of(message: dict[str, object]) -> str:
    """The reason of a rejection, or that there is a score."""
    gate = message["gate"]
    assert isinstance(gate, dict)
    return str(gate["reasons"][0]).partition(":")[0] if gate["reasons"] else "scored"


def answers(subscriber: Subscriber) -> dict[str, dict[str, object]]:
    """Every result and reply so far, by image id."""
    ours = [
        m for m in subscriber.messages if m.topic.startswith(REPLY) or m.topic == f"{TOPICS}/result"
    ]
    return {message["image_id"]: message for message in (json.loads(m.payload) for m in ours)}


def columns_with_markers(ledger: Path) -> set[tuple[str, str]]:
    """
    Table and column of every value in the ledger in which a marker stands, as it is or as it was
    quoted.
    """
    found = set()
    with sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True) as db:
        for (table,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            cursor = db.execute(f"SELECT * FROM {table}")  # noqa: S608 - the ledger's own names
            for row in cursor:
                values = [
                    value if isinstance(value, bytes) else str(value).encode() for value in row
                ]
                found |= {
                    (table, column[0])
                    for column, value in zip(cursor.description, values, strict=True)
                    if found_in(value)
                }
    return found


def test_what_a_file_says_of_a_patient_comes_out_nowhere(
    keyed: Rig, subscriber: Subscriber, tmp_path: Path
) -> None:
    keyed.ready().await_introduction()
    expected = send_all(keyed, subscriber)
    until(lambda: expected.keys() <= answers(subscriber).keys(), "all answers", keyed.words)
    until(lambda: keyed.settled() and len(subscriber.under("health")) > 1, "settled", keyed.words)
    config = ("--config", keyed.config)
    retried = run_command("retry", next(iter(expected)), *config)
    until(
        lambda: keyed.settled() and keyed.status()["queue"]["last_seq"] > len(expected),
        "examined again",
        keyed.words,
    )
    judge(subscriber, [image_id for image_id, why in expected.items() if why == "scored"])
    printed = [
        run_command(*command, *config)
        for command in (
            ["status"],
            ["status", "--json"],
            ["results"],
            ["results", "--json"],
            ["reload"],
            ["performance", "--by", "device"],
            ["performance", "--json", "--by", "maker"],
        )
    ]
    asked = json.dumps(keyed.status())
    assert keyed.stop() == 0

    found = answers(subscriber)
    assert {image_id: said_of(found[image_id]) for image_id in expected} == expected
    subjects = {
        "image": hmac.digest(KEY, SOP.encode(), "sha256").hex(),
        "exam": hmac.digest(KEY, STUDY.encode(), "sha256").hex(),
    }
    assert [
        found[image_id]["subject"] for image_id, why in expected.items() if why == "scored"
    ] == [subjects] * 3

    heard = [
        m
        for m in subscriber.messages
        if "/request/" not in m.topic and not m.topic.endswith("/feedback")
    ]  # what the senders sent is not ours
    assert [
        m.topic for m in heard if found_in(f"{m.topic} {m.properties}".encode() + m.payload)
    ] == []
    beside = [
        path.read_bytes() for folder in (keyed.done, keyed.failed) for path in folder.glob("*.json")
    ]
    assert len(beside) == len(expected)
    texts = [ended.stdout + ended.stderr for ended in (*printed, retried)] + [
        asked,
        keyed.log.read_text(),
    ]
    assert "event=worker_died" in texts[-1]
    for text in [
        *beside,
        *(text.encode() for text in texts),
        (tmp_path / "results.jsonl").read_bytes(),
    ]:
        assert found_in(text) == []
        assert text != b""
    marked = columns_with_markers(keyed.folder / "state" / FILE)
    assert marked <= LOCAL, marked - LOCAL
    assert marked >= {("images", "path"), ("images", "name")}
    with sqlite3.connect(keyed.folder / "state" / FILE) as db:
        women = db.execute("SELECT woman FROM scores").fetchall()
        judged = db.execute("SELECT count(*) FROM verdicts WHERE woman NOT NULL").fetchone()
    db.close()
    assert len(women) == 3
    assert {len(woman) for (woman,) in women} == {64}
    assert judged == (2,)
    assert any(found_in(path.name.encode()) for path in keyed.done.iterdir())


def test_classify_and_its_pictures_say_nothing_but_the_path_as_typed(tmp_path: Path) -> None:
    folder, pictures = tmp_path / WORD, tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number} {NAME}").write_bytes(
            planted(film().pixels, number=number, everywhere=number == 1)
        )
    ended = run_command("classify", "--json", folder, "--explain", pictures)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [said_of(line) for line in lines] == ["scored", "not a mammogram"]
    assert all(found_in(line["source"].pop("path").encode()) for line in lines)
    assert [found_in(json.dumps(line).encode()) for line in lines] == [[], []]
    assert [line for line in lines if "subject" in line] == []
    assert found_in(ended.stderr.encode()) == []
    drawn = list(pictures.iterdir())
    assert len(drawn) == 2
    assert [path for path in drawn if found_in(path.name.encode() + path.read_bytes())] == []
