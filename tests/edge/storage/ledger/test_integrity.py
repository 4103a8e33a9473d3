"""
A damaged ledger is noticed at start and set aside whole; it is never repaired in place and never
silently empty.
"""

import json
import os
import re
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli import check
from edge.config.settings import Settings
from edge.domain import Numbering
from edge.errors import StartupError
from edge.storage.ledger import Ledger
from edge.storage.ledger.database import FILE, NEW
from edge.storage.ledger.integrity import FOLDER
from edge.storage.ledger.queries import open_queries
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.schema import VERSION
from edge.storage.ledger.states import Move, State
from edge.storage.ledger.wal_mark import NAME
from tests.support.tools import ROOT

FIXTURES = sorted((ROOT / "tests" / "data" / "ledger").glob("v*.sql"))


def open_at(folder: Path) -> Ledger:
    return Ledger(folder, ["mqtt"], lambda payload, _: payload)


def conclude(ledger: Ledger, image_id: str) -> None:
    def render(numbering: Numbering) -> bytes:
        return json.dumps({"seq": numbering.seq, "filler": "x" * 3000}).encode()

    ledger.images.move(image_id, Move.DISPATCH)
    ledger.images.conclude(
        Conclusion(image_id, f"result-{image_id}", "b", scored=True, render=render)
    )


def fill(ledger: Ledger, folder: Path, numbers: range) -> None:
    """Images with an outcome."""
    for number in numbers:
        image_id = f"{number:064x}"
        ledger.submissions.accept(
            Submission(image_id, folder / f"f-{number}", b"film.dcm", "folder", time.time()), "b"
        )
        conclude(ledger, image_id)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """
    What a daemon leaves on the disk that is killed: a file, and commits that are in the log only.
    """
    state = tmp_path / "state"
    ledger = open_at(tmp_path / "living")
    fill(ledger, tmp_path, range(1, 4))
    ledger._database._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(ledger, tmp_path, range(4, 9))
    ledger.restore.finish()
    shutil.copytree(tmp_path / "living", state)
    ledger.close()
    return state


def test_a_ledger_whose_daemon_was_killed_is_sound_and_whole(killed: Path) -> None:
    ledger = open_at(killed)
    assert (ledger.restore.why_empty, len(ledger.queries.results())) == (None, 8)
    ledger.close()
    assert not (killed / FOLDER).exists()
    assert not (killed / NAME).exists()


def flip(file: str, at: float) -> Callable[[Path], None]:
    def damage(state: Path) -> None:
        data = bytearray((state / file).read_bytes())
        place = int(len(data) * at) // 4096 * 4096  # where a page has its head
        data[place : place + 16] = bytes(byte ^ 0xFF for byte in data[place : place + 16])
        (state / file).write_bytes(data)

    return damage


def cut(file: str, to: float) -> Callable[[Path], None]:
    def damage(state: Path) -> None:
        os.truncate(state / file, int((state / file).stat().st_size * to))

    return damage


def remove(file: str) -> Callable[[Path], None]:
    return lambda state: (state / file).unlink()


def older_log(state: Path) -> None:
    """As if an earlier state of the log had been put back."""
    with (state / NAME).open("r+b") as note:
        frames, first, second = struct.unpack("=I4sI", note.read())
        later = (int.from_bytes(first, "big") + 5).to_bytes(4, "big")
        note.seek(0)
        note.write(struct.pack("=I4sI", frames, later, second))


LOG = f"{FILE}-wal"
DAMAGES = {
    "flipped header": (flip(FILE, 0.0), "not a database"),
    "flipped middle": (flip(FILE, 0.5), "."),
    "flipped end": (flip(FILE, 0.95), "."),
    "half a file": (cut(FILE, 0.5), "."),
    "empty file": (cut(FILE, 0.0), "its file is empty"),
    "no file": (remove(FILE), "log"),
    "no log": (remove(LOG), "its write-ahead log is missing"),
    "empty log": (cut(LOG, 0.0), "its write-ahead log is missing"),
    "half a log": (cut(LOG, 0.6), "log has [0-9]+ readable frames, expected"),
    "flipped log": (flip(LOG, 0.4), "log has [0-9]+ readable frames, expected"),
    "older log": (older_log, "its write-ahead log is an older one"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_seen_told_and_set_aside(
    killed: Path, damage: Callable[[Path], None], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    if "log" not in why:
        open_at(killed).close()  # else the log would mend the file
    damage(killed)
    ledger = open_at(killed)
    said = str(ledger.restore.why_empty)
    assert re.search(f"^damaged: .*({why})", said)
    assert ledger.queries.results() == []
    assert f'event=ledger_damaged why="{said.removeprefix("damaged: ")}"' in caplog.text
    assert len(list((killed / FOLDER).iterdir())) == 1
    ledger.restore.finish()
    ledger.close()
    again = open_at(killed)
    assert again.restore.why_empty is None
    again.close()


def test_a_flipped_byte_inside_a_result_is_damage_though_no_structure_of_sqlite_s_sees_it(
    tmp_path: Path,
) -> None:
    ledger = open_at(tmp_path)
    fill(ledger, tmp_path, range(1, 3))
    ledger.close()
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data.replace(b"xxxxxxxx", b"xxxxyxxx", 1))
    ledger = open_at(tmp_path)
    assert re.fullmatch(
        r"damaged: result \d is not what was written", str(ledger.restore.why_empty)
    )
    ledger.close()


def test_a_schema_that_is_not_text_any_more_is_damage_and_no_crash(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    data = bytearray((tmp_path / FILE).read_bytes())
    for found in re.finditer(rb"CREATE TABLE", bytes(data)):
        data[found.start() + 3] = 0xDF
    (tmp_path / FILE).write_bytes(data)
    ledger = open_at(tmp_path)
    assert str(ledger.restore.why_empty).startswith("damaged: ")
    ledger.close()


def test_a_column_whose_name_has_changed_is_damage(tmp_path: Path) -> None:
    open_at(tmp_path).close()
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(
        data.replace(b"correlation    BLOB,\n    seq", b"corre1ation    BLOB,\n    seq")
    )
    ledger = open_at(tmp_path)
    assert (
        ledger.restore.why_empty
        == f"damaged: its tables submissions are not those of schema version {VERSION}"
    )
    ledger.close()


def test_a_number_that_was_forgotten_is_damage(tmp_path: Path) -> None:
    ledger = open_at(tmp_path)
    fill(ledger, tmp_path, range(1, 3))
    ledger.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE meta SET value = 1 WHERE key = 'seq'")
    ledger = open_at(tmp_path)
    assert (
        ledger.restore.why_empty
        == "damaged: the last sequence number is noted as 1, results go up to 2"
    )
    ledger.close()


def test_a_new_folder_gets_a_new_ledger_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_at(tmp_path)
    assert ledger.restore.why_empty == NEW
    ledger.close()
    assert caplog.text == ""


def test_damage_while_it_is_read_at_start_sets_aside_what_a_second_damage_finds_too(
    killed: Path,
) -> None:
    for _ in range(2):
        (killed / FILE).write_bytes(b"not a database, whatever its name says " * 50)
        open_at(killed).close()
    assert len(list((killed / FOLDER).iterdir())) == 2


@pytest.fixture(params=FIXTURES, ids=lambda file: file.stem)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """
    The ledger of an earlier release: five images in five states, three results, one of them refused
    by the broker.
    """
    with sqlite3.connect(tmp_path / FILE) as db:
        db.executescript(request.param.read_text())
    db.close()
    return tmp_path


def test_there_is_a_fixture_of_every_earlier_version() -> None:
    assert [file.stem for file in FIXTURES] == [f"v{number}" for number in range(1, VERSION)]


def test_a_ledger_of_an_earlier_release_is_taken_over_whole(earlier: Path) -> None:
    with sqlite3.connect(earlier / FILE) as db:
        before = db.execute("SELECT payload FROM results ORDER BY seq").fetchall()
        name = db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0]
    db.close()
    ledger = open_at(earlier)
    assert ledger.restore.why_empty is None
    assert ledger.restore.numbering() == (name, 3)
    assert ledger.queries.results() == [payload for (payload,) in before]
    states = {
        state: [image.image_id[0] for image in ledger.images.in_state(state)] for state in State
    }
    assert states == {
        State.RECEIVED: ["5"],
        State.EXAMINING: ["4"],
        State.CONCLUDED: ["3"],
        State.ARCHIVED: ["1", "2"],
    }
    assert ledger.outbox.counts() == {
        "mqtt": {"waiting": 0, "held": 1},
        "jsonl": {"waiting": 2, "held": 0},
        "reply": {"waiting": 1, "held": 0},
    }
    assert [origin.path for origin in ledger.origins.all()] == [Path("/mnt/inbox/film-5.dcm")]
    assert [
        place.image_id[0]
        for place in ledger.pruning.files(scored=True, before=time.time() * 2, limit=9)
    ] == ["1"]
    ledger.images.recover()
    conclude(ledger, "4" * 64)
    assert ledger.restore.numbering() == (name, 4)
    ledger.close()
    open_at(earlier).close()
    assert not (earlier / FOLDER).exists()


def test_a_migrated_ledger_has_the_tables_of_a_new_one(earlier: Path) -> None:
    def tables(file: Path) -> list[tuple[str, str]]:
        with sqlite3.connect(file) as db:
            found = db.execute(
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
            ).fetchall()
        db.close()
        return found

    open_at(earlier).close()
    open_at(earlier / "new").close()
    assert tables(earlier / FILE) == tables(earlier / "new" / FILE)


def test_a_migration_that_is_cut_short_changes_nothing(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge.storage.ledger.schema.MIGRATIONS",
        dict.fromkeys(range(1, VERSION), "CREATE TABLE x (y TEXT); SELECT * FROM nowhere;"),
    )
    with pytest.raises(StartupError, match="no such table"):
        open_at(earlier)
    monkeypatch.undo()
    open_at(earlier).close()
    assert not (earlier / FOLDER).exists()


def test_check_finds_an_earlier_ledger_good_and_says_how_many_were_set_aside(earlier: Path) -> None:
    settings = Settings(
        state={"path": earlier},
        inbox={"path": earlier / "inbox"},
        publish={"jsonl": earlier / "results.jsonl"},
    )
    assert check._ledger(settings).endswith(
        f"; the daemon brings it to {VERSION} at its next start"
    )
    open_at(earlier).close()
    (earlier / FOLDER / "20260101T000000").mkdir(parents=True)
    assert check._ledger(settings).startswith(
        "1 waiting, 2 scored, 1 rejected; 1 damaged ones set aside in "
    )


def test_results_of_an_earlier_ledger_are_refused_until_the_daemon_has_taken_it_over(
    earlier: Path,
) -> None:
    with (
        pytest.raises(
            StartupError,
            match=rf"its schema version is \d; the daemon brings it to {VERSION} at its next start",
        ),
        open_queries(earlier),
    ):
        pass
