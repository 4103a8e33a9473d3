"""The audit log: whatever is changed, taken out or cut off shows."""

import hashlib
import json
import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from edge.errors import Unavailable
from edge.storage.audit import NAME, NOTE, Audit, Caller, Head
from edge.storage.audit_chain import PRUNED


def filled(folder: Path, count: int = 5) -> Audit:
    audit = Audit(folder)
    for number in range(count):
        audit.add("retry", Caller(uid=1000 + number), images=number)
    return audit


def lines_of(folder: Path) -> list[bytes]:
    return (folder / NAME).read_bytes().splitlines(keepends=True)


def test_entries_say_who_had_what_done_and_the_chain_holds(tmp_path: Path) -> None:
    audit = filled(tmp_path, 2)
    audit.add("replay", Caller(topic="mammo/v1/a/b/command/replay"))
    head = audit.add("pruned", pruned_done=3)
    assert [(one["event"], one["by"]) for one in audit.entries()] == [
        ("retry", {"uid": 1000}),
        ("retry", {"uid": 1001}),
        ("replay", {"topic": "mammo/v1/a/b/command/replay"}),
        ("pruned", {"daemon": "self"}),
    ]
    assert audit.problems(head) == []
    assert Head.parse(str(audit.head())) == head
    assert audit.newest("retry") == list(audit.entries())[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'"uid":1002', b'"uid":1009'),
        lambda line: line.replace(b'"images":2', b'"images": 2'),
        lambda line: line.replace(b'"retry"', b'"reload"'),
    ],
)
def test_a_changed_entry_is_named(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    audit, lines = filled(tmp_path), lines_of(tmp_path)
    lines[2] = change(lines[2])
    (tmp_path / NAME).write_bytes(b"".join(lines))
    assert audit.problems() == ["line 3: changed: its hash is not that of its text"]


def test_an_entry_that_was_changed_with_its_hash_breaks_the_next_one(tmp_path: Path) -> None:
    audit, other = filled(tmp_path), tmp_path / "other"
    other.mkdir()
    forged = filled(other, 2)
    forged.add("reload", Caller(uid=0))
    lines = lines_of(tmp_path)
    lines[2] = lines_of(other)[2]
    (tmp_path / NAME).write_bytes(b"".join(lines))
    assert "line 4: does not continue the entry before" in audit.problems()


def test_an_entry_that_was_taken_out_is_missed(tmp_path: Path) -> None:
    audit, lines = filled(tmp_path), lines_of(tmp_path)
    (tmp_path / NAME).write_bytes(b"".join(lines[:1] + lines[3:]))
    assert audit.problems() == ["line 2: entries 2 to 3 are missing"]


def test_a_tail_that_was_cut_off_is_missed_now_and_later(tmp_path: Path) -> None:
    audit, lines = filled(tmp_path), lines_of(tmp_path)
    (tmp_path / NAME).write_bytes(b"".join(lines[:3]))
    assert audit.problems() == ["entries 4 to 5 are missing"]
    audit.add("reload")
    assert audit.problems() == ["line 4: entries 4 to 5 are missing"]


def test_a_tail_that_was_cut_off_with_its_note_is_missed_by_a_published_head(
    tmp_path: Path,
) -> None:
    audit, lines = filled(tmp_path), lines_of(tmp_path)
    published = audit.head()
    (tmp_path / NAME).write_bytes(b"".join(lines[:3]))
    (tmp_path / NOTE).unlink()
    assert audit.problems() == []
    assert audit.problems(published) == ["entries 4 to 5 are missing"]
    for _ in range(3):  # grown anew beyond it
        audit.add("reload")
    assert [one for one in audit.problems(published) if one.startswith("entry 5 is not")]


def test_a_removed_log_is_missed(tmp_path: Path) -> None:
    audit = filled(tmp_path)
    (tmp_path / NAME).unlink()
    assert audit.problems() == ["entries 1 to 5 are missing"]


def grown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """Have six entries in three closed files, and a seventh in the one that is written."""
    monkeypatch.setattr("edge.storage.audit.MAX_BYTES", 500)
    return filled(folder, 7)


def test_a_log_that_has_grown_goes_on_in_a_new_file_and_the_chain_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = grown(tmp_path, monkeypatch)
    names = [f"audit.{number:012}.jsonl" for number in (2, 4, 6)]
    assert [path.name for path in audit.closed()] == names
    assert [one["number"] for one in audit.entries()] == [1, 2, 3, 4, 5, 6, 7]
    assert audit.problems(audit.head()) == []
    (tmp_path / NOTE).unlink()
    (tmp_path / NAME).unlink()  # as a kill leaves it between two files
    assert audit.head().number == 6
    assert audit.add("reload").number == 7
    assert audit.problems() == []


def test_a_closed_file_that_was_taken_out_or_changed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = grown(tmp_path, monkeypatch)
    first, second, _ = audit.closed()
    lines = second.read_bytes()
    second.write_bytes(lines.replace(b'"uid":1002', b'"uid":1009'))
    changed = "line 1: changed: its hash is not that of its text"
    assert audit.problems() == [f"{second.name}, {changed}"]
    second.unlink()
    assert audit.problems() == ["audit.000000000006.jsonl, line 1: entries 3 to 4 are missing"]
    second.write_bytes(lines)
    first.unlink()
    assert audit.problems() == ["entries 1 to 2 are missing"]


def test_closed_files_are_removed_after_their_time_and_the_log_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = grown(tmp_path, monkeypatch)
    heads = [Head(one["number"], one["hash"]) for one in audit.entries()]
    for path, moment in zip(audit.closed(), (1.0, 2.0, 3.0), strict=True):
        os.utime(path, (moment, moment))
    assert audit.prune(before=3.0) == 2
    assert [one["number"] for one in audit.entries()][:3] == [5, 6, 7]
    said = [one["details"] for one in audit.entries() if one["event"] == PRUNED]
    assert said == [{"number": head.number, "hash": head.hash} for head in (heads[1], heads[3])]
    assert audit.problems(heads[3]) == audit.problems(heads[5]) == []
    assert audit.problems(Head(4, "1" * 64))[0].startswith("entry 4 is not the one")
    old = audit.verify(heads[0])
    times = [one["at"] for one in audit.entries() if one["event"] == PRUNED]
    assert (old.problems(), old.notes()) == (
        [],
        [
            "begins at entry 5",
            *(
                f"entries up to {number} removed {at}"
                for number, at in zip((2, 4), times, strict=True)
            ),
            "entry 1 was removed after its time: it cannot be compared",
        ],
    )
    kept_all = audit.verify(removes=False)
    assert (kept_all.problems(), kept_all.notes()) == (["entries 1 to 4 are missing"], [])
    audit.closed()[0].unlink()
    assert audit.problems() == ["entries 1 to 6 are missing"]


def test_a_copy_of_the_log_that_a_person_made_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = grown(tmp_path, monkeypatch)
    copy = tmp_path / "audit.2025.jsonl"
    copy.write_bytes(audit.closed()[0].read_bytes())
    os.utime(copy, (1.0, 1.0))
    assert audit.problems() == []
    assert audit.prune(before=2.0) == 0
    assert copy.exists()


def test_a_removal_that_fails_is_noted_once_and_a_damaged_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    audit = grown(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        for _ in range(3):
            with pytest.raises(PermissionError):
                audit.prune(before=float("inf"))
    assert [one["event"] for one in audit.entries()].count(PRUNED) == 1
    with audit.closed()[0].open("ab") as log:
        log.write(b"damage\n")
    with pytest.raises(OSError, match=r"audit.000000000002.jsonl: its last line is no entry"):
        audit.prune(before=float("inf"))


def test_a_removal_that_is_noted_amid_a_file_is_no_removal(tmp_path: Path) -> None:
    audit = filled(tmp_path)
    third, *left = lines_of(tmp_path)[2:]
    (tmp_path / NAME).write_bytes(b"".join(left))
    audit.add(PRUNED, number=3, hash=json.loads(third)["hash"])
    assert audit.problems() == ["entries 1 to 3 are missing"]


def test_no_older_entries_are_removed_while_the_log_does_not_take_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = grown(tmp_path, monkeypatch)
    audit.file.unlink()
    audit.file.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        audit.prune(before=float("inf"))
    assert len(audit.closed()) == 3


def test_half_an_entry_that_a_power_cut_left_is_taken_away(tmp_path: Path) -> None:
    audit = filled(tmp_path)
    with (tmp_path / NAME).open("ab") as log:
        log.write(lines_of(tmp_path)[-1][:40])
    assert len(audit.problems()) == 1
    audit.add("reload")
    assert audit.problems() == []
    assert [one["number"] for one in audit.entries()] == [1, 2, 3, 4, 5, 6]


def test_an_older_note_raises_no_alarm(tmp_path: Path) -> None:
    audit = filled(tmp_path, 2)
    older = (tmp_path / NOTE).read_bytes()
    audit.add("reload")
    (tmp_path / NOTE).write_bytes(older)
    assert audit.problems() == []
    assert audit.add("reload").number == 4
    assert audit.problems() == []


def add_many(folder: Path, max_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.storage.audit.MAX_BYTES", max_bytes)
        for _ in range(20):
            Audit(folder).add("retry")


@pytest.mark.parametrize("max_bytes", [500, 2**20])
def test_processes_share_one_chain(tmp_path: Path, max_bytes: int) -> None:
    arguments = (tmp_path, max_bytes)
    processes = [get_context("spawn").Process(target=add_many, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Audit(tmp_path).problems() == []
    assert Audit(tmp_path).head().number == 40
    assert len(Audit(tmp_path).closed()) == (20 if max_bytes == 500 else 0)


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(Unavailable, match=r"audit\.jsonl: Is a directory"):
        Audit(tmp_path).add("retry")


def test_lines_are_what_other_programs_can_check(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    entry = json.loads(lines_of(tmp_path)[0])
    claimed = entry.pop("hash")
    text = json.dumps(entry, sort_keys=True, separators=(",", ":")) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest() == claimed


@pytest.mark.parametrize(
    "line", [b"7\n", b"{}\n", b'{"event":"settings"}\n', b"\xff\n", b"[" * 9999 + b"\n"]
)
def test_a_line_that_is_no_entry_is_told_and_stops_nobody(tmp_path: Path, line: bytes) -> None:
    audit = filled(tmp_path, 2)
    with audit.file.open("ab") as log:
        log.write(line)
    assert audit.problems() == ["line 3: not an entry"]
    assert [entry["number"] for entry in audit.entries()] == [1, 2]
    assert audit.newest("settings") is None
    assert audit.add("reload").number == 3


def test_a_log_that_cannot_be_read_has_no_first_entry_and_the_head_of_its_note(
    tmp_path: Path,
) -> None:
    audit = filled(tmp_path, 2)
    head = audit.head()
    assert audit.first() == 1
    audit.file.rename(tmp_path / "away")
    audit.file.mkdir()
    assert (audit.first(), audit.head()) == (None, head)


@pytest.mark.parametrize(
    ("field", "value"), [("hash", "x" * 64), ("hash", "ab"), ("number", -1), ("number", 0)]
)
def test_an_entry_that_was_changed_beyond_its_form_is_no_head(
    tmp_path: Path, field: str, value: object
) -> None:
    audit = filled(tmp_path, 2)
    noted = audit.head()
    *lines, last = audit.file.read_bytes().splitlines()
    changed = json.dumps({**json.loads(last), field: value}).encode()
    audit.file.write_bytes(b"\n".join([*lines, changed, b""]))
    assert audit.problems()[0] == "line 2: not an entry"
    assert audit.head() == noted


def test_a_line_without_an_end_is_told_and_the_next_entry_stands_alone(tmp_path: Path) -> None:
    """Nothing of it is cut off: it may be somebody's damage, and is no half entry of ours."""
    audit = filled(tmp_path, 2)
    with audit.file.open("ab") as log:
        log.write(b"x" * 100_000)
    size = audit.file.stat().st_size
    assert audit.add("reload").number == 3
    assert audit.file.stat().st_size > size
    assert audit.problems()[0] == "line 3: not an entry"
    assert [entry["number"] for entry in audit.entries()] == [1, 2, 3]
