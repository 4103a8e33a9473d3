"""A file that was hashed is read again only if a write could have gone unseen."""

import os
import time
from pathlib import Path

import pytest

from edge.storage.known_looks import REMEMBERED, TICK_NS, KnownLooks, Since
from edge.system import files


def test_a_film_hashed_within_a_tick_of_its_last_change_is_not_known_to_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, known = tmp_path / "film.dcm", KnownLooks()
    film.write_bytes(b"a film")
    os.utime(film, ns=(0, 0))
    looks = files.looks(film)
    changed_ns = looks[3]
    for since_ns, expected in ((TICK_NS, Since.UNKNOWN), (TICK_NS + 1, Since.SAME)):
        monkeypatch.setattr(time, "time_ns", lambda now=changed_ns + since_ns: now)
        known.note(film, looks)
        assert known.since(film) is expected


def test_a_hashed_film_is_known_under_its_new_name_unless_it_was_written(tmp_path: Path) -> None:
    film, target, known = tmp_path / "film.dcm", tmp_path / "archived.dcm", KnownLooks()
    film.write_bytes(b"a film")
    looks = files.looks(film)
    known.note(film, looks, alone=True)
    film.rename(target)
    known.moved(film, target, looks)
    assert known.since(target) is Since.SAME
    target.write_bytes(b"a longer film")
    assert known.since(target) is Since.CHANGED


def test_the_oldest_of_too_many_films_are_forgotten(tmp_path: Path) -> None:
    known = KnownLooks()
    first, last = tmp_path / "0", tmp_path / str(REMEMBERED)
    for film in (first, last):
        film.write_bytes(b"a film")
    for number in range(REMEMBERED + 1):
        known.note(tmp_path / str(number), files.looks(last if number else first), alone=True)
    assert known.since(first) is Since.UNKNOWN
    assert known.since(last) is Since.SAME
