"""One file of answers sets up many devices."""

import re
from pathlib import Path

import pytest

from edge.cli import exits, main
from edge.config.load import load
from tests.support.rig import PROGRAM
from tests.support.terminal import Terminal
from tests.support.tools import ROOT

PAGE = (ROOT / "docs/guides/operations.md").read_text()
EXAMPLE = re.findall(r"^```toml\n(broker = .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def pem(kind: str, what: str) -> str:
    return f"-----BEGIN {kind}-----\n{what}\n-----END {kind}-----\n"


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """The operator's page's example, for a broker with an address here, beside its files."""
    (example,) = EXAMPLE
    file = tmp_path / "stick" / "answers.toml"
    file.parent.mkdir()
    file.write_text(example.replace("broker.lan", "localhost"))
    (file.parent / "ca.crt").write_text(pem("CERTIFICATE", "ca"))
    for number in range(1, 21):
        base = file.parent / f"north.edge-{number}"
        base.with_name(f"{base.name}.crt").write_text(pem("CERTIFICATE", f"{number}"))
        base.with_name(f"{base.name}.key").write_text(pem("PRIVATE KEY", f"{number}"))
    return file


def setup(root: Path, *words: object) -> int:
    return main.main(["setup", "--root", str(root), *map(str, words)])


def test_twenty_devices_differ_by_one_option(answers: Path, tmp_path: Path) -> None:
    for number in range(1, 21):
        root = tmp_path / f"root-{number}"
        assert setup(root, "--from", answers, "--device", f"edge-{number}") == 0
        settings = load(root / "etc/mammo-edge/edge.toml", {})
        assert (settings.device.site, settings.device.name) == ("north", f"edge-{number}")
        assert (settings.broker.port, settings.broker.tls.enabled) == (8883, True)
        key = root / "etc/mammo-edge/device.key"
        assert key.read_text() == pem("PRIVATE KEY", f"{number}")


def test_a_name_may_have_another_one_in_it(answers: Path, tmp_path: Path) -> None:
    answers.write_text('username = "{device}.x"\nsite = "north"\ndevice = "{site}-7"\n')
    assert setup(tmp_path, "--from", answers) == 0
    settings = load(tmp_path / "etc/mammo-edge/edge.toml", {})
    assert (settings.device.name, settings.broker.username) == ("north-7", "north-7.x")


def test_at_a_terminal_nobody_is_asked(answers: Path, tmp_path: Path) -> None:
    answers.write_text('site = "north"\npassword-file = "{site}.txt"\n')
    answers.with_name("north.txt").write_text("geheim\n")
    with Terminal(PROGRAM, "setup", "--root", tmp_path, "--from", answers) as terminal:
        assert terminal.ended() == 0
    assert "[" not in terminal.said
    assert (tmp_path / "etc/mammo-edge/mqtt.password").read_text() == "geheim\n"


def test_an_option_wins_and_what_nobody_says_stays(answers: Path, tmp_path: Path) -> None:
    words = ("--from", answers, "--device", "edge-1")
    assert setup(tmp_path, *words, "--username", "ward") == 0
    answers.write_text('broker = "localhost:1"\nsite = "south"\n')
    assert setup(tmp_path, *words, "--site", "west") == 0
    settings = load(tmp_path / "etc/mammo-edge/edge.toml", {})
    assert (settings.broker.port, settings.broker.username) == (1, "ward")
    assert settings.device.site == "west"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('brokr = "x"', "brokr: unknown, expected one of broker, site, .*, password-file, ca"),
        ("coral = 'yes'", "coral: Input should be a valid boolean"),
        ("broker", "Expected '=' after a key"),
        ('site = "North Clinic"', "did you mean north-clinic"),
        ('cert = "{device}.crt"', r"cert: found '\{device\}.crt' and no device: say --device"),
        ('ca = "nothing.crt"', r"--ca: \S+/stick/nothing.crt: No such file"),
    ],
)
def test_a_file_with_a_fault_is_refused_and_nothing_is_written(
    answers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    answers.write_text(text)
    assert setup(tmp_path / "root", "--from", answers) == exits.CONFIG
    assert re.search(why, capsys.readouterr().err)
    assert not (tmp_path / "root").exists()


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(tmp_path, "--from", tmp_path / "none.toml") == exits.CONFIG
    assert "none.toml: No such file or directory" in capsys.readouterr().err
