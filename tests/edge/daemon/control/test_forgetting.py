"""`forget` erases an image to the last byte, for root alone, and harms no other."""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from edge.config.settings import Settings
from edge.daemon.control.audited import AuditedHandler, audited
from edge.daemon.control.forgetting import ON_ITS_WAY, Forgetting
from edge.daemon.publish.jsonl import JsonlSink
from edge.domain import Numbering
from edge.errors import ConfigError, Unavailable
from edge.storage import erased_files
from edge.storage.audit import Caller
from edge.storage.ledger import Ledger, wal_mark
from edge.storage.ledger.outbox import Delivery
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.states import Move, State
from edge.storage.ledger.verdicts import Verdict
from edge.storage.pictures import PICTURE, SMALL
from edge.storage.spool import Spool
from tests.support.exam_ledger import Site as ExamSite
from tests.support.exam_ledger import add_all, make_old
from tests.support.pipeline import AtOnce, parts_of
from tests.support.rig import PATIENCE_S, until

MARKER = b"PAYLOAD-OF-NUMBER-"
ROOT = Caller(uid=0)


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def payload(number: int, numbering: Numbering) -> bytes:
    """Make a result of some pages, as one with a map is."""
    said = MARKER.decode() + f"{number:05d}."
    return json.dumps({"image_id": name(number), "seq": numbering.seq, "map": said * 500}).encode()


def readdress(known: bytes, numbering: Numbering) -> bytes:
    return json.dumps({**json.loads(known), "seq": numbering.seq}).encode()


@dataclass
class Site:
    """A ledger with its archive, and the command."""

    folder: Path
    ledger: Ledger
    spool: Spool
    forget: AuditedHandler
    jsonl: Path

    def submit(self, number: int, times: int = 1) -> Path:
        for time in range(times):
            claimed = self.spool.claimed / f"f-{number}-{time}"
            claimed.write_bytes(str(number).encode())
            file = b"SECRET-%05d.dcm" % number
            kept = self.ledger.submissions.accept(
                Submission(name(number), claimed, file, "folder", 1e9 + time), "b"
            )
            if kept != claimed:
                claimed.unlink()
        return self.spool.claimed / f"f-{number}-0"

    def add(self, number: int, times: int = 1) -> Path:
        claimed, image_id = self.submit(number, times), name(number)
        self.ledger.images.move(image_id, Move.DISPATCH)
        first = self.ledger.images.conclude(
            Conclusion(
                image_id, f"r{number}", "b", scored=True, render=lambda n: payload(number, n)
            )
        )
        path = self.spool.archive(
            claimed, image_id, b"SECRET-%05d.dcm" % number, first, scored=True
        )
        self.ledger.images.archived(image_id, path)
        with self.jsonl.open("ab") as lines:
            lines.write(first + b"\n")
        self.draw(number)
        return path

    def draw(self, number: int) -> bool:
        """Keep a picture of an image, if the ledger has it, as the drawer does."""
        image_id, said = name(number), MARKER + b"%05d" % number
        return self.ledger.pictures.keep(
            image_id,
            f"r{number}",
            {SMALL: said, PICTURE: said},
            lambda: self.ledger.pruning.is_kept(image_id, f"r{number}"),
        )

    def holds(self, *wanted: bytes) -> list[str]:
        """Name the files below the folder whose names or bytes have one of these."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        said = {path.name: os.fsencode(path) + path.read_bytes() for path in files}
        return [file for file, text in said.items() if any(one in text for one in wanted)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folders = {"path": tmp_path / "spool", "done": tmp_path / "done", "failed": tmp_path / "failed"}
    settings = Settings(
        inbox={"path": tmp_path / "inbox"},
        spool=folders,
        state={"path": tmp_path / "state"},
        publish={"jsonl": tmp_path / "results.jsonl"},
    )
    ledger = Ledger(tmp_path / "state", ["mqtt", "jsonl"], readdress)
    spool = Spool(folders["path"], folders["done"], folders["failed"])
    parts = parts_of(ledger, spool, cast("Any", None), tasks=AtOnce())
    obeyed = audited({"forget": Forgetting(settings, parts)}, ledger.audit)
    yield Site(tmp_path, ledger, spool, obeyed["forget"], tmp_path / "results.jsonl")
    ledger.close()


def forget_in(exams: ExamSite, folder: Path, **more: Any) -> AuditedHandler:  # noqa: ANN401
    """The command, audited, on the ledger of some exams."""
    settings = Settings(
        inbox={"path": folder / "inbox"},
        state={"path": exams.folder},
        spool={"path": folder / "spool"},
        **more,
    )
    parts = parts_of(exams.ledger, cast("Any", None), cast("Any", None), tasks=AtOnce())
    return audited({"forget": Forgetting(settings, parts)}, exams.ledger.audit)["forget"]


def traces(number: int) -> tuple[bytes, ...]:
    image_id = name(number).encode()
    return image_id, image_id[:16], MARKER + b"%05d" % number, b"SECRET-%05d" % number


def test_no_byte_of_an_erased_image_is_left_and_nothing_of_the_others_is_lost(site: Site) -> None:
    for number in range(40):
        site.add(number, times=1 + number % 3)
    before = site.jsonl.stat().st_size
    for number in (0, 17, 38, 39):
        assert site.holds(*traces(number))
        answer = site.forget({"id": name(number)}, ROOT)
        assert (answer["files"], answer["results"], answer["lines"]) == (1, 1 + number % 3, 1)
        assert site.holds(*traces(number)) == []
    kept = [number for number in range(40) if number not in {0, 17, 38, 39}]
    published = [json.loads(one)["image_id"] for one in site.ledger.queries.results(limit=200)]
    assert set(published) == {name(number) for number in kept}
    assert site.jsonl.stat().st_size == before
    lines = [json.loads(line) for line in site.jsonl.read_bytes().splitlines()]
    assert [line["image_id"] for line in lines if line] == [name(number) for number in kept]


def test_pictures_go_too_and_none_is_kept_once_the_image_is_erased(site: Site) -> None:
    for number in (1, 2):
        site.add(number)
    drawn = site.holds(MARKER + b"00001")
    assert {f"r1{SMALL}", f"r1{PICTURE}"} <= set(drawn)
    site.forget({"id": name(1)}, ROOT)
    assert not site.draw(1)  # a worker was just about to be done with it
    assert site.holds(*traces(1)) == []
    assert {f"r2{SMALL}", f"r2{PICTURE}"} <= set(site.holds(*traces(2)))


def test_pictures_of_an_image_of_which_nothing_else_is_known_are_erased(site: Site) -> None:
    site.ledger.pictures.keep(name(1), "r1", {SMALL: MARKER, PICTURE: MARKER}, lambda: True)
    site.forget({"id": name(1)}, ROOT)
    assert site.holds(*traces(1)) == []


def test_a_picture_that_cannot_be_removed_refuses_the_erasure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.add(1)

    def refuse(_: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "pictures")

    monkeypatch.setattr(site.ledger.pictures, "remove", refuse)
    with pytest.raises(Unavailable, match="Read-only file system"):
        site.forget({"id": name(1)}, ROOT)
    assert site.ledger.images.find(name(1)) is not None
    assert not path.exists()
    monkeypatch.undo()
    site.forget({"id": name(1), "gone": True}, ROOT)
    assert site.holds(*traces(1)) == []


def test_a_line_that_was_on_its_way_is_not_written_after_the_erasure(site: Site) -> None:
    site.add(1)
    site.jsonl.unlink()
    (delivery,) = site.ledger.outbox.pending(["jsonl"])
    sink = JsonlSink(site.jsonl, site.ledger.outbox.wanted)
    site.forget({"id": name(1)}, ROOT)
    sink.send(delivery)
    assert site.jsonl.read_bytes() == b""


def test_a_line_that_is_being_written_is_blanked_once_it_is(site: Site) -> None:
    site.add(1)
    site.jsonl.unlink()
    (delivery,) = site.ledger.outbox.pending(["jsonl"])
    erasing = threading.Thread(target=site.forget, args=({"id": name(1)}, ROOT))

    @contextmanager
    def wanted(asked: Delivery) -> Iterator[bool]:
        with site.ledger.outbox.wanted(asked) as first:
            erasing.start()
            until(lambda: site.ledger.outbox.pending(["jsonl"]) == [], "erased in the ledger")
            yield first

    JsonlSink(site.jsonl, wanted).send(delivery)
    erasing.join(PATIENCE_S)
    assert site.jsonl.read_bytes().strip() == b"{}"


def test_only_root_has_an_image_erased_and_no_topic_does(site: Site) -> None:
    path = site.add(1)
    for caller in (Caller(uid=1000), Caller(topic="mammo/v1/a/b/command/forget")):
        with pytest.raises(ConfigError, match="only root"):
            site.forget({"id": name(1)}, caller)
    assert path.exists()
    assert [entry["details"]["step"] for entry in site.ledger.audit.entries()] == [
        "asked",
        "refused",
    ] * 2
    assert "forget" not in str(Settings.model_fields["intake"].annotation)


def test_the_audit_log_proves_the_erasure_to_whoever_has_the_id(site: Site) -> None:
    site.add(1)
    digest = site.forget({"id": name(1)[:12]}, ROOT)["digest"]
    done = list(site.ledger.audit.entries())[-1]
    assert done["details"] == {"of": 1, "step": "done", "digest": digest, "files": 1, "results": 1}
    assert site.forget({"id": name(1)}, ROOT)["digest"] == digest
    assert site.forget({"id": name(2)}, ROOT)["digest"] != digest


def test_the_same_bytes_later_are_a_new_image(site: Site) -> None:
    site.add(1)
    site.forget({"id": name(1)}, ROOT)
    site.add(1)
    (published,) = site.ledger.queries.results()
    assert json.loads(published)["seq"] == 2  # a number is never given again


@pytest.mark.parametrize(
    ("typed", "why"), [("1234567", "expected 8"), ("0" * 12, "no image"), ("", "expected 8")]
)
def test_what_names_no_image_erases_none(site: Site, typed: str, why: str) -> None:
    path = site.add(1)
    with pytest.raises(ConfigError, match=why):
        site.forget({"id": typed}, ROOT)
    assert path.exists()


def test_an_image_that_still_waits_is_refused_and_stays(site: Site) -> None:
    path = site.submit(1)
    with pytest.raises(ConfigError, match="it is received, expected archived"):
        site.forget({"id": name(1)}, ROOT)
    assert path.exists()
    assert site.ledger.images.find(name(1)) is not None


def test_bytes_that_come_again_while_their_image_is_erased_are_an_image_of_their_own(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intake may take them in between the removal of the file and that of the rows."""
    site.add(1)
    arrival = threading.Thread(target=site.submit, args=(1,))
    remove = erased_files.remove_file

    def and_meanwhile(path: Path) -> bool:
        removed = remove(path)
        arrival.start()
        arrival.join(0.3)  # the ledger lets it wait
        return removed

    monkeypatch.setattr(erased_files, "remove_file", and_meanwhile)
    site.forget({"id": name(1)}, ROOT)
    arrival.join()
    again = site.ledger.images.find(name(1))
    assert again is not None
    assert (again.state, again.path.exists()) == (State.RECEIVED, True)


def test_what_could_not_be_finished_names_the_whole_id_to_ask_again_with(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(1)
    with monkeypatch.context() as patch:
        patch.setattr(erased_files, "remove_damaged", _no_room)
        with pytest.raises(Unavailable, match=f"run `mammo-edge forget {name(1)}` again"):
            site.forget({"id": name(1)[:12]}, ROOT)
    site.forget({"id": name(1)}, ROOT)
    assert site.holds(*traces(1)) == []


def test_what_could_not_be_finished_says_that_a_report_was_ended_as_the_next_run_cannot(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add(1)
    ended = iter([True, False])
    monkeypatch.setattr(erased_files, "remove_damaged", _no_room)
    settings = Settings(
        inbox={"path": site.folder / "inbox"},
        state={"path": site.folder / "state"},
        spool={"path": site.spool.done.parent},
    )
    parts = parts_of(site.ledger, site.spool, cast("Any", None), tasks=AtOnce())
    forgetting = Forgetting(settings, parts, lambda _: next(ended))
    with pytest.raises(Unavailable, match=f"again; out of reach: {ON_ITS_WAY}"):
        forgetting({"id": name(1)})
    with pytest.raises(Unavailable, match=r"again$"):
        forgetting({"id": name(1)})


def _no_room(_: Path) -> int:
    raise OSError(errno.EIO, os.strerror(errno.EIO), "state/damaged")


def test_an_image_is_not_erased_while_the_folder_of_its_file_is_away(site: Site) -> None:
    path = site.add(1)
    away = site.folder / "away"
    site.spool.done.rename(away)
    for there in (False, True):  # the mount's folder is away too, or is there and empty
        if there:
            site.spool.done.mkdir()
        with pytest.raises(Unavailable, match=f"file in .*done is not found.*{name(1)}` again"):
            site.forget({"id": name(1)[:12]}, ROOT)
    assert site.ledger.images.find(name(1)) is not None
    site.spool.done.rmdir()
    away.rename(site.spool.done)
    assert site.forget({"id": name(1)}, ROOT)["files"] == 1
    assert not path.exists()
    assert site.holds(*traces(1)) == []


def test_a_file_that_was_said_to_be_gone_is_erased_by_the_same_words_once_it_is_back(
    site: Site,
) -> None:
    site.add(1)
    away = site.folder / "away"
    site.spool.done.rename(away)
    said = site.forget({"id": name(1), "gone": True}, ROOT)
    assert (said["files"], said["results"]) == (0, 1)
    assert "done, which was not found: once it is back" in said["out_of_reach"][-1]
    away.rename(site.spool.done)
    assert site.forget({"id": name(1)}, ROOT)["files"] == 1
    assert site.holds(*traces(1)) == []


def test_another_image_that_was_sent_under_the_name_of_an_erased_one_stays(site: Site) -> None:
    erased = site.add(1)
    sent = site.spool.archive(site.submit(2), name(2), os.fsencode(erased.name), b"{}", scored=True)
    assert name(1)[:16] in sent.name
    assert site.forget({"id": name(1)}, ROOT)["files"] == 1
    assert (erased.exists(), sent.exists()) == (False, True)


def test_an_image_whose_file_a_person_removed_from_beside_its_result_is_erased(site: Site) -> None:
    site.add(1).unlink()
    assert site.forget({"id": name(1)}, ROOT)["results"] == 1
    assert site.holds(*traces(1)) == []


def test_lines_that_cannot_be_seen_are_named_and_blanked_by_the_same_words_later(
    site: Site,
) -> None:
    site.add(1)
    away = site.folder / "away"
    site.jsonl.rename(away)
    said = site.forget({"id": name(1)}, ROOT)["out_of_reach"][-1]
    assert said.startswith(f"{site.jsonl}, which is not there")
    assert f"run `mammo-edge forget {name(1)}` again" in said
    away.rename(site.jsonl)
    assert site.forget({"id": name(1)}, ROOT)["lines"] == 1
    assert site.holds(*traces(1)) == []


def test_set_aside_ledgers_go_too_and_an_id_in_full_is_obeyed_again(site: Site) -> None:
    site.add(1)
    damaged = site.folder / "state/damaged/2026"
    damaged.mkdir(parents=True)
    (damaged / "ledger.sqlite3").write_bytes(
        payload(1, cast("Any", Numbering(1, "l", "folder", 0)))
    )
    (damaged.parent / "core").touch()
    (damaged.parent / "last").symlink_to(damaged)
    assert site.forget({"id": name(1)}, ROOT)["damaged_ledgers"] == 3
    assert list(damaged.parent.iterdir()) == []
    again = site.forget({"id": name(1)}, ROOT)
    assert (again["files"], again["results"], again["lines"]) == (0, 0, 0)
    assert site.holds(*traces(1)) == []


@pytest.mark.parametrize("stuck", ["2024", "2025", "2026"])
def test_a_damaged_ledger_that_cannot_be_removed_keeps_none_of_the_others(
    stuck: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = erased_files.remove_all_of

    def refuse(entry: Path) -> None:
        if entry.name == stuck:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(entry))
        remove(entry)

    damaged = site.folder / "state/damaged"
    for year in ("2024", "2025", "2026"):
        (damaged / year).mkdir(parents=True)
    monkeypatch.setattr(erased_files, "remove_all_of", refuse)
    with pytest.raises(Unavailable, match=f"{stuck}: Input/output error"):
        site.forget({"id": name(1)}, ROOT)
    assert [entry.name for entry in damaged.iterdir()] == [stuck]


def test_a_kill_after_the_log_was_cut_raises_no_alarm(site: Site) -> None:
    site.add(1)
    site.add(2)
    site.forget({"id": name(1)}, ROOT)
    state = site.folder / "state"
    assert wal_mark.left_behind(state / "ledger.sqlite3") is None
    copy = site.folder / "copy"
    copy.mkdir()
    for file in state.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    reopened = Ledger(copy, ["mqtt"], readdress)
    try:
        assert len(reopened.queries.results()) == 1
        assert not (copy / "damaged").exists()
    finally:
        reopened.close()


def test_a_reader_of_the_ledger_does_not_keep_the_log_for_ever(site: Site) -> None:
    site.add(1)
    done: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: done.append(site.forget({"id": name(1)}, ROOT)))
    with open_readonly(site.folder / "state") as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM images").fetchone() == (1,)
        asking.start()
        asking.join(0.3)
    asking.join()
    assert done[0]["results"] == 1
    assert site.holds(*traces(1)) == []


def test_an_exam_is_erased_with_all_its_images_by_its_id_or_that_of_a_revision(
    tmp_path: Path,
) -> None:
    for number, key in enumerate(("exam_id", "result_id")):
        exams = ExamSite(tmp_path / f"exams-{number}")
        image_ids = add_all(exams)
        kept = exams.add("L", "CC", 0.5, study="6" * 64)
        (published,) = exams.published
        forget = forget_in(exams, tmp_path)
        answer = forget({"id": published[key][:12]}, ROOT)
        assert (answer["files"], answer["results"]) == (4, 4)
        assert [exams.ledger.images.find(one) for one in image_ids] == [None] * 4
        assert exams.ledger.images.find(kept) is not None
        assert exams.published == []
        exams.ledger.close()


def test_an_exam_of_which_only_a_verdict_is_left_is_erased_by_its_id(tmp_path: Path) -> None:
    exams = ExamSite(tmp_path / "exams")
    image_ids = add_all(exams)
    (published,) = exams.published
    exam_id = published["exam_id"]
    verdict = Verdict(exam_id, "malignant", "biopsy", score_seen=False, kind="exam")
    assert exams.ledger.verdicts.record([verdict]) == 1
    (delivery,) = exams.ledger.exam_outbox.pending(["exam"])
    exams.ledger.exam_outbox.delivered(delivery)
    make_old(exams, image_ids)
    assert exams.ledger.pruning.forget(before=2.0, limit=9) == 5
    forget = forget_in(exams, tmp_path)
    assert forget({"id": exam_id[:12]}, ROOT)["results"] == 0
    assert exams.ledger.verdicts.pairs("exam") == []
    files = [path for path in exams.folder.iterdir() if path.is_file()]
    said = [path.read_bytes() for path in files]
    assert [text for text in said for one in (exam_id, *image_ids) if one.encode() in text] == []
    exams.ledger.close()


def test_an_exam_with_an_image_in_work_is_refused_before_anything_is_touched(
    tmp_path: Path,
) -> None:
    exams = ExamSite(tmp_path / "exams")
    image_ids = add_all(exams)
    (published,) = exams.published
    lines = tmp_path / "results.jsonl"
    said = "".join(json.dumps({"image_id": one}) + "\n" for one in image_ids)
    lines.write_text(said)
    exams.ledger.submissions.retry(image_ids[3:])
    forget = forget_in(exams, tmp_path, publish={"jsonl": lines})
    with pytest.raises(ConfigError, match="expected archived"):
        forget({"id": published["exam_id"]}, ROOT)
    assert lines.read_text() == said
    exams.ledger.close()


def test_an_exam_of_one_image_loses_its_line_first_as_its_id_leads_nowhere_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exams = ExamSite(tmp_path / "exams")
    image_id = exams.add("L", "CC", 0.5)
    exams.ledger.exams.publish_due(lambda: 1e12)
    (published,) = exams.published
    lines = tmp_path / "results.jsonl"
    lines.write_text(json.dumps({"image_id": image_id}) + "\n")
    settings = Settings(
        inbox={"path": tmp_path / "inbox"},
        state={"path": exams.folder},
        spool={"path": tmp_path / "spool"},
        publish={"jsonl": lines},
    )
    parts = parts_of(exams.ledger, cast("Any", None), cast("Any", None), tasks=AtOnce())
    forgetting = Forgetting(settings, parts)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(forgetting, "_erase", killed)
    with pytest.raises(KeyboardInterrupt):
        forgetting({"id": published["exam_id"]})
    assert image_id not in lines.read_text()
    exams.ledger.close()
