"""A file that was hashed is read again only if a write could have gone unseen."""

import os
import time
from pathlib import Path

from edge.storage.known_looks import REMEMBERED, TICK_NS, KnownLooks, Since
from edge.storage.spool import Spool
from edge.system import files


def test_a_film_written_long_ago_is_known_although_it_was_renamed_just_now(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    film = tmp_path / "inbox" / "film.dcm"
    film.write_bytes(b"a film")
    written_ns = film.stat().st_mtime_ns - 100 * TICK_NS
    os.utime(film, ns=(written_ns, written_ns))
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    with spool.claiming(film, may_copy=False) as claim:
        assert claim.path.stat().st_ctime_ns > written_ns + TICK_NS
    assert spool.since_hashed(claim.path) is Since.SAME
    claim.path.write_bytes(b"A film")
    assert spool.since_hashed(claim.path) is Since.CHANGED


def test_a_film_read_within_a_tick_of_its_last_write_is_not_known_to_be_the_same(
    tmp_path: Path,
) -> None:
    film, known = tmp_path / "film.dcm", KnownLooks()
    film.write_bytes(b"a film")
    looks = files.looks(film)
    known.note(film, looks, looks[2] + TICK_NS)
    assert known.since(film) is Since.UNKNOWN
    known.note(film, looks, looks[2] + TICK_NS + 1)
    assert known.since(film) is Since.SAME


def test_a_hashed_film_is_known_under_its_new_name_unless_it_was_written(tmp_path: Path) -> None:
    film, target, known = tmp_path / "film.dcm", tmp_path / "archived.dcm", KnownLooks()
    film.write_bytes(b"a film")
    looks = files.looks(film)
    known.note(film, looks, time.time_ns(), alone=True)
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
        known.note(tmp_path / str(number), files.looks(last if number else first), 0, alone=True)
    assert known.since(first) is Since.UNKNOWN
    assert known.since(last) is Since.SAME
