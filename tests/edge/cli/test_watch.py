"""`watch` and `results --follow` at a real terminal, beside a ledger that is being written."""

import json
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.follow import Follower
from tests.support.results import Writer, rejected, scored
from tests.support.rig import PATIENCE_S, PROGRAM, run_command, until
from tests.support.terminal import CTRL_C, Terminal

COLOUR = "\x1b["


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path)
    yield made
    made.ledger.close()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


def test_a_row_comes_with_each_result_in_colour_and_ctrl_c_is_a_good_end(writer: Writer) -> None:
    early = writer.publish(scored())
    with Terminal(PROGRAM, "watch", "--config", writer.config) as terminal:
        terminal.until("domain")
        late = writer.publish(scored(outcome="malignant"))
        refused = writer.publish(rejected("unsupported format: expected DICOM"))
        rows = terminal.until(refused["image_id"][:8])
        terminal.until("expected DICOM")
        terminal.press(CTRL_C)
        assert terminal.ended() == 0
    assert early["image_id"][:8] not in rows
    assert re.search(rf" {late['image_id'][:8]}  malignant ", plain(rows))
    assert "\x1b[31mmalignant\x1b[0m" in rows
    table = plain(rows).partition("seq ")[2].splitlines()
    assert len(table) == 3
    assert max(map(len, table)) <= 100
    assert "Traceback" not in terminal.said


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_a_terminal_of_somebody_who_wants_no_colours_has_none(
    writer: Writer, variable: str
) -> None:
    writer.publish(scored())
    words = ("watch", "--since", "0", "--config", writer.config)
    with Terminal(PROGRAM, *words, variables={variable: "dumb"}) as terminal:
        terminal.until(" film")
        assert COLOUR not in terminal.said


def test_a_program_gets_one_line_of_json_a_result_from_where_it_says(writer: Writer) -> None:
    for _ in range(3):
        writer.publish(scored())
    words = [str(PROGRAM), "watch", "--json", "--since", "1", "--config", str(writer.config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout
        assert [json.loads(watch.stdout.readline())["seq"] for _ in range(2)] == [2, 3]
        last = writer.publish(scored())
        assert json.loads(watch.stdout.readline()) == last
        watch.terminate()


def test_it_ends_quietly_and_at_once_when_nobody_reads_any_more(writer: Writer) -> None:
    words = [str(PROGRAM), "watch", "--json", "--since", "0", "--config", str(writer.config)]
    writer.publish(scored())
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        assert watch.stdout
        assert watch.stderr
        assert watch.stdout.readline()
        watch.stdout.close()  # and no result comes that could be written in vain
        assert watch.wait(PATIENCE_S) == 0
        assert "no running daemon answers" in watch.stderr.readline().decode()
        assert watch.stderr.read() == b""


def test_it_ends_well_when_a_result_comes_that_nobody_reads(writer: Writer) -> None:
    for _ in range(200):
        writer.publish(scored())
    words = f"{PROGRAM} watch --json --since 0 --config {writer.config} | head -n 1 > {{}}"
    line = writer.config.with_name("line")
    script = f"set -o pipefail; {words.format(line)}"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1), ended.stderr
    assert json.loads(line.read_text())["seq"] == 1


def test_a_result_after_the_clock_was_set_back_is_shown_too(writer: Writer) -> None:
    follower = Follower(writer.config.with_name("state"), 0, time.time() - 3600)
    early = writer.publish(scored())
    assert [json.loads(payload) for payload in follower.new()] == [early]
    late = writer.publish(scored())
    with sqlite3.connect(writer.config.with_name("state") / "ledger.sqlite3") as db:
        db.execute("UPDATE results SET completed_at = 1 WHERE seq = ?", (late["seq"],))
    db.close()
    assert [json.loads(payload) for payload in follower.new()] == [late]


def test_results_go_on_after_the_newest_ones(writer: Writer) -> None:
    shown = [writer.publish(scored())["image_id"][:8] for _ in range(3)]
    words = ("results", "--limit", "2", "--follow", "--config", writer.config)
    with Terminal(PROGRAM, *words) as terminal:
        terminal.until(shown[2])
        shown.append(writer.publish(scored())["image_id"][:8])
        terminal.until(shown[3])
        terminal.press(CTRL_C)
        assert terminal.ended() == 0
    counts = [terminal.said.count(image) for image in shown]
    assert counts == [0, 1, 1, 1]


def test_a_ledger_that_takes_the_place_of_another_is_followed_from_its_beginning(
    tmp_path: Path,
) -> None:
    writer = Writer(tmp_path)
    old = writer.publish(scored())
    with Terminal(PROGRAM, "watch", "--json", "--config", writer.config) as terminal:
        terminal.until("no running daemon answers")
        writer.ledger.close()
        (tmp_path / "state").rename(tmp_path / "aside")
        terminal.until("trying again")  # there is none, or it went while it was being opened
        other = Writer(tmp_path)
        new = other.publish(scored())
        terminal.until(new["ledger_id"])
        other.ledger.close()
    assert (old["seq"], new["seq"]) == (1, 1)
    assert terminal.said.count("trying again") == 1
    assert "another ledger began; its results follow" in terminal.said


def test_what_cannot_be_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'[state]\npath = "{tmp_path}"\n')
    ended = run_command("watch", "--config", config)
    assert ended.returncode == 78
    assert "the service was never started" in ended.stderr


def test_it_leaves_the_daemon_s_ledger_to_the_daemon(writer: Writer) -> None:
    """No look holds a transaction: the log can be cut to nothing while somebody watches."""
    with Terminal(
        PROGRAM, "watch", "--json", "--since", "0", "--config", writer.config
    ) as terminal:
        terminal.until("no running daemon answers")
        result = writer.publish(scored())
        terminal.until(result["image_id"])
        log = writer.folder / "state/ledger.sqlite3-wal"

        def cut() -> bool:
            with writer.ledger._database.transaction() as db:
                db.execute("UPDATE meta SET value = value WHERE key = 'seq'")
            with writer.ledger._database.reading() as db:
                return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

        until(cut, "cut to nothing")
        assert log.stat().st_size == 0
