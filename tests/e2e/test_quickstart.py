"""Each command of docs/quickstart.md does what the page says."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.daemon import TOPICS
from deploy.demo.subscriber import Subscriber
from tests.support.rig import PATIENCE_S, until
from tests.support.tools import DATA, ROOT

COMMANDS: Final = re.findall(r"^    (.+)$", (ROOT / "docs/quickstart.md").read_text(), re.MULTILINE)
BIN: Final = Path(sys.executable).parent
SCORE: Final = r"0\.\d{4}"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each `mammo-edge` line of the page prints, all run in one folder, one after another."""
    here = tmp_path_factory.mktemp("quickstart")
    (here / "tests").symlink_to(ROOT / "tests")
    path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    found = {"folder": str(here)}
    for line in COMMANDS:
        if line.startswith("mammo-edge "):
            ended = subprocess.run(
                ["bash", "-c", line], cwd=here, env=path, capture_output=True, text=True, check=True
            )
            found[line] = ended.stdout
    return found


def after(said: dict[str, str], words: str) -> str:
    """The output of the only command that ends so."""
    (found,) = (output for line, output in said.items() if line.endswith(words))
    return found


def test_the_page_names_targets_that_make_knows() -> None:
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert targets == ["demo", "run"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def rows_of(text: str) -> dict[str, tuple[list[str], float]]:
    """Film, way, truth and outcome of each row of the demo's table, and its score, by result id."""
    rows = re.findall(rf"^ *(\S+ .+) ({SCORE}) +{SCORE} +\d+ +(\S+)$", text, re.MULTILINE)
    return {result_id: (words.split(), float(score)) for words, score, result_id in rows}


def test_make_demo_answers_nine_mammograms_as_the_readme_shows() -> None:
    command = [sys.executable, "-m", "deploy.demo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.endswith("next: make run\n")
    found, shown = rows_of(ended.stdout), rows_of((ROOT / "README.md").read_text())
    assert sorted(words[2] for words, _ in found.values()) == ["benign"] * 4 + ["malignant"] * 5
    assert {one: words for one, (words, _) in found.items()} == {
        one: words for one, (words, _) in shown.items()
    }
    near = 0.02 if find_spec("ai_edge_litert") else 0.3  # tflite-runtime rounds int8 in its own way
    for result_id, (words, score) in shown.items():
        assert found[result_id][1] == pytest.approx(score, abs=near), words


def test_every_sample_film_is_classified(said: dict[str, str]) -> None:
    rows = after(said, "classify tests/data").splitlines()
    for film in DATA.glob("*.jpg"):
        assert any(film.name in row for row in rows)


def test_one_film_is_one_line_of_json(said: dict[str, str]) -> None:
    (line,) = after(said, "malignant-cc.jpg --json").splitlines()
    assert json.loads(line)["outcome"] == "malignant"


def test_the_picture_is_drawn(said: dict[str, str]) -> None:
    assert after(said, "--explain pictures")
    pictures = list((Path(said["folder"]) / "pictures").glob("*.png"))
    assert len(pictures) == 1


def test_what_is_no_mammogram_is_rejected_with_a_reason(said: dict[str, str]) -> None:
    assert re.search(r"README.md +rejected .*unsupported format", after(said, "README.md"))


def entered(port: int, token: str) -> bool:
    """Tell if the token opens a page with the dropped film."""
    here = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        here.request("POST", "/enter", f"secret={token}", kind)
        answer = here.getresponse()
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        answer.read()
        here.request("GET", "/results", headers={"Cookie": cookie})
        return "cbis-ddsm-benign-cc.jpg" in here.getresponse().read().decode()
    except ConnectionRefusedError:  # it does not listen yet
        return False
    finally:
        here.close()


class Running:
    """
    `make run`, and what it has printed.

    Args:
        folder: for the log.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "deploy.demo", "--stay"], cwd=ROOT, stdout=output
            )

    def reads(self, line: str) -> tuple[str, ...]:
        """Wait for a line that begins with a pattern; returns the pattern's groups."""
        until(lambda: self._found(line), line, self._log.read_text)
        found = self._found(line)
        assert found
        return found.groups()

    def _found(self, line: str) -> re.Match[str] | None:
        return re.search(f"^{line}", self._log.read_text(), re.MULTILINE)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A demo that takes films."""
    made = Running(tmp_path)
    try:
        made.reads("mammogram .* result id")
        yield made
    finally:
        made.process.terminate()
        made.process.wait()


def test_make_run_prints_page_and_row_of_a_dropped_film_until_ctrl_c(running: Running) -> None:
    (inbox,) = running.reads(r"drop mammograms into +(\S+)$")
    (copy,) = (line for line in COMMANDS if line.startswith("cp "))
    subprocess.run(["bash", "-c", copy.replace("INBOX", inbox)], cwd=ROOT, check=True)
    running.reads(rf"cbis-ddsm-benign-cc\.jpg +folder benign +\S+ +{SCORE} ")
    port, token = running.reads(r"the page +http://127\.0\.0\.1:(\d+)/enter#(\S+)$")
    until(lambda: entered(int(port), token), "the page")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(PATIENCE_S) == 0
    running.reads("stopped: exit code 0")


def test_a_film_without_a_name_or_truth_is_told_by_what_is_known_of_it(running: Running) -> None:
    (port,) = running.reads(r"broker: \S+ on 127\.0\.0\.1:(\d+)$")
    (inbox,) = running.reads(r"drop mammograms into +(\S+)$")
    unknown = (DATA / "cbis-ddsm-benign-mlo.jpg").read_bytes() + b"a comment"
    with Subscriber(int(port)) as sender:
        sender.publish(
            f"{TOPICS}/request/image", (DATA / "cbis-ddsm-malignant-cc.jpg").read_bytes()
        )
        sender.publish(f"{TOPICS}/request/image", unknown)
    part = Path(inbox) / ".part"
    part.write_bytes(unknown + b"again")
    part.rename(part.with_name("a name of more characters than there is room for.jpg"))
    running.reads(rf"cbis-ddsm-malignant-cc\.jpg mqtt   malignant +\S+ +{SCORE} ")
    running.reads(rf"[0-9a-f]{{26}} mqtt   - +\S+ +{SCORE} ")
    running.reads(rf"…han there is room for\.jpg folder - +\S+ +{SCORE} ")
