"""Verifies the audit log: each entry continues the one before, and noted heads are there."""

from collections.abc import Sequence
from typing import Any, Final

from edge.storage.audit_entry import DAEMON, Head, hash_of, head_of, line_of, read_entry

CONTINUES: Final = "continues"
"""The field of the first entry of a file that has the last number of the closed file before."""
PRUNED: Final = "audit_pruned"
"""The event that older entries are about to be removed; its details are the head of these."""


class Chain:
    """
    One look at all lines of a log, oldest first.

    Args:
        heads: that were noted, and must be found.
        removes: true if old entries may be removed at all.
    """

    def __init__(self, heads: Sequence[Head], *, removes: bool = True) -> None:
        self._heads = heads
        self._removes = removes
        self._begins_file = False
        self._found: list[str] = []
        self._begin: Head | None = None
        """The entry before the first line."""
        self._last = Head()
        self._pruned: dict[Head, str] = {}
        """The last entries that were removed, each with the time of its removal."""

    def follow(self, line: bytes, place: str) -> None:
        """Look at the next line."""
        entry = read_entry(line)
        if self._begin is None:
            self._begin = self._last = _before(entry)
            self._begins_file = entry is not None and CONTINUES in entry
            self._compare(self._begin)
        why = self._step(line, entry)
        self._found += [f"{place}: {one}" for one in why]
        self._compare(self._last)
        if entry and not why and entry["event"] == PRUNED and entry["by"] == DAEMON.said():
            said = entry["details"]
            self._pruned[Head(said.get("number"), said.get("hash"))] = entry["at"]

    def problems(self) -> list[str]:
        """Say what is wrong, a sentence each; an empty list if nothing is."""
        begin, last = self._begin or Head(), self._last
        first = [] if begin == Head() or self._is_permitted(begin) else [_missing(0, begin.number)]
        cut = [
            _missing(last.number, head.number) for head in self._heads if head.number > last.number
        ]
        return list(dict.fromkeys([*first, *self._found, *cut]))

    def notes(self) -> list[str]:
        """Say what is missing as it may be, a sentence each: what was removed after its time."""
        begin = self._begin or Head()
        if begin == Head() or not self._is_permitted(begin):
            return []
        removed = [f"entries up to {head.number} removed {at}" for head, at in self._pruned.items()]
        old = [_unknown(head) for head in self._heads if head.number < begin.number]
        return [f"begins at entry {begin.number + 1}", *removed, *old]

    def _is_permitted(self, begin: Head) -> bool:
        """Tell if all up to an entry may be missing: whole files, of which the log says so."""
        return self._removes and self._begins_file and begin in self._pruned

    def _compare(self, found: Head) -> None:
        self._found += [
            f"entry {head.number} is not the one that was noted: its hash was {head.hash[:16]}"
            for head in self._heads
            if head.number == found.number and head.hash != found.hash
        ]

    def _step(self, line: bytes, entry: dict[str, Any] | None) -> list[str]:
        """Say what is wrong with a line that follows the last one, and go on to it."""
        before = self._last
        if entry is None:
            self._last = Head(before.number + 1)
            return ["not an entry"]
        self._last = head = head_of(entry)
        body = {key: value for key, value in entry.items() if key != "hash"}
        if head.hash != hash_of(body) or line != line_of(entry):
            return ["changed: its hash is not that of its text"]
        if head.number > before.number + 1:
            return [_missing(before.number, head.number - 1)]
        if head.number <= before.number or entry["previous"] != before.hash:
            return ["does not continue the entry before"]
        return []


def _before(first: dict[str, Any] | None) -> Head:
    """Return the head that the first entry continues; that of an empty log as a rule."""
    if first is None or first["number"] == 1:
        return Head()
    return Head(first["number"] - 1, first["previous"])


def _missing(last: int, until: int) -> str:
    return f"entries {last + 1} to {until} are missing"


def _unknown(head: Head) -> str:
    return f"entry {head.number} was removed after its time: it cannot be compared"
