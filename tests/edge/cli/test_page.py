"""`mammo-edge page`: what keeps it from starting is said, and nobody else needs its libraries."""

import http.client
import io
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from edge.cli import main
from edge.page import access
from tests.support.certificates import make_certificates
from tests.support.page_process import running
from tests.support.results import Writer, scored
from tests.support.rig import PROGRAM, until


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A daemon's ledger with one result, beside a configuration."""
    made = Writer(tmp_path)
    made.publish(scored())
    yield made
    made.ledger.close()


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    form: dict[str, str] | None = None,
    **more: str,
) -> tuple[int, str, str]:
    """Status, cookie and text of an answer."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(form) if form else None
    connection.request("POST" if form else "GET", path, body, {**kind, **more})
    answer = connection.getresponse()
    cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
    return answer.status, cookie, answer.read().decode()


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").touch()
    code = (
        "import sys; sys.modules['starlette'] = None; from edge.cli.main import main; "
        "sys.exit(main(['--config', sys.argv[1], 'page']))"
    )
    done = python(code, tmp_path / "edge.toml")
    assert done.returncode == 78
    assert "starlette is missing: pip install 'mammo-edge[page]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_daemon_and_commands_import_nothing_of_it() -> None:
    code = (
        "import sys, edge.daemon.app, edge.inference.examiner, edge.cli.run, edge.cli.page; "
        "names = ('starlette', 'uvicorn', 'jinja2', 'anyio', 'edge.page'); "
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    done = python(code)
    assert done.stdout == "[]\n", done.stderr


def test_it_opens_no_film_and_speaks_no_mqtt() -> None:
    code = (
        "import sys, edge.page.process; "
        "names = ('cv2', 'numpy', 'pydicom', 'gdcm', 'imagecodecs', 'ai_edge_litert', 'paho'); "
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    done = python(code)
    assert done.stdout == "[]\n", done.stderr


REACHABLE: Final = 'listen = "192.0.2.1:8323"\ncert = "/none"\nkey = "/none"'


def started(writer: Writer, section: str, *words: str) -> int:
    """The exit status of a start that fails."""
    config = writer.folder / "other.toml"
    config.write_text(f"{writer.config.read_text()}[page]\n{section}\n")
    return main.main(["--config", str(config), "page", *words])


def test_nobody_is_let_in_by_accident(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert started(writer, "") == 78
    said = capsys.readouterr().err
    assert "there is no token yet, so nobody could come in: mammo-edge page --token" in said
    assert started(writer, REACHABLE) == 78
    assert "there is no password yet" in capsys.readouterr().err
    assert started(writer, REACHABLE, "--token") == 78
    assert "browsers elsewhere use --password" in capsys.readouterr().err
    assert started(writer, "", "--password") == 78
    assert "browsers on this machine use --token" in capsys.readouterr().err


def test_a_password_is_read_from_a_line_and_kept_as_a_hash(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, status in (("short\n", 78), ("a long password\n", 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(line))
        assert started(writer, REACHABLE, "--password") == status
    kept = (writer.folder / "state/page.password").read_text()
    assert kept.startswith("scrypt$")
    assert "a long password" not in kept + str(capsys.readouterr())


def test_it_serves_until_it_is_told_to_end_and_a_browser_that_listens_keeps_it_not(
    writer: Writer,
) -> None:
    token = access.make_token(writer.folder / "state")
    with running(writer.config) as (process, port):
        here = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        assert ask(here, "/")[0] == 303
        assert ask(here, "/enter", {"secret": "guess"})[0] == 403
        status, cookie, _ = ask(here, "/enter", {"secret": token})
        assert status == 303
        status, _, shown = ask(here, "/", Cookie=cookie)
        assert (status, "film.dcm" in shown) == (200, True)
        assert ask(here, "/", Cookie=cookie, Host="evil.example")[0] == 421
        here.request("GET", "/events", headers={"Cookie": cookie})
        news = here.getresponse()
        assert news.readline().startswith(b"data: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0
        here.close()
    log = (writer.folder / "page.log").read_text()
    assert "event=stopped" in log
    assert "Traceback" not in log
    assert not {token, "guess", "film.dcm"} & set(re.split(r"[\s=]", log))


def test_with_tls_the_page_is_read_over_tls_alone(writer: Writer) -> None:
    token = access.make_token(writer.folder / "state")
    make_certificates(writer.folder / "tls", "ca", "Ours")
    make_certificates(writer.folder / "tls", "broker", "127.0.0.1")
    section = f'cert = "{writer.folder}/tls/broker.crt"\nkey = "{writer.folder}/tls/broker.key"\n'
    context = ssl.create_default_context(cafile=str(writer.folder / "tls/ca.crt"))
    with running(writer.config, section) as (_, port):
        safe = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=120)
        status, cookie, _ = ask(safe, "/enter", {"secret": token})
        assert (status, cookie.startswith("__Host-mammo-page=")) == (303, True)
        assert ask(safe, "/", Cookie=cookie)[0] == 200
        safe.close()
        clear = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with pytest.raises(http.client.HTTPException):
            ask(clear, "/enter")
        clear.close()


def test_on_a_terminal_the_first_start_prints_the_address_with_a_token_and_later_ones_the_way_in(
    writer: Writer,
) -> None:
    writer.config.write_text(f'{writer.config.read_text()}[page]\nlisten = "127.0.0.1:0"\n')
    root, token = r"http://127\.0\.0\.1:\d+/", r"enter#[\w-]{32}"
    again = "the token that was printed opens it; mammo-edge page --token makes a new one"
    for expected in (f"{root}{token}", f"{root}\r\n{re.escape(again)}"):
        said = said_on_a_terminal(writer)
        assert re.fullmatch(f"{expected}\r\n", said), said


def test_on_a_terminal_a_page_for_others_names_the_host_that_they_may_ask_for(
    writer: Writer,
) -> None:
    access.set_password(writer.folder / "state", "a long password")
    make_certificates(writer.folder / "tls", "ca", "Ours")
    make_certificates(writer.folder / "tls", "broker", "127.0.0.1")
    section = (
        f'listen = "0.0.0.0:0"\nhosts = ["page.lan"]\n'
        f'cert = "{writer.folder}/tls/broker.crt"\nkey = "{writer.folder}/tls/broker.key"\n'
    )
    writer.config.write_text(f"{writer.config.read_text()}[page]\n{section}")
    said = said_on_a_terminal(writer)
    assert re.match(r"https://page\.lan:\d+/\r\nthe password that was set opens it; ", said), said


def said_on_a_terminal(writer: Writer) -> str:
    """Start the page at a terminal and stop it once it listens; returns its standard output."""
    ours, theirs = pty.openpty()
    log = writer.folder / "terminal.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [PROGRAM, "--config", writer.config, "page"],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=stream,
        )
    os.close(theirs)
    said = b""
    try:
        until(lambda: "event=listening" in log.read_text(), "listening", log.read_text)
        process.terminate()
        with suppress(OSError):  # nobody has the other side open any more
            while more := os.read(ours, 1000):
                said += more
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said.decode()


def test_what_may_pass_is_tried_again_and_what_a_person_must_change_is_not(
    writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(writer, "", "--token") == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:8323/enter#")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f'listen = "127.0.0.1:{other.getsockname()[1]}"'
        assert started(writer, taken) == 1
    assert "page.listen: 127.0.0.1:" in capsys.readouterr().err
    assert started(writer, 'cert = "/none"\nkey = "/none"') == 78
    assert "page.cert: /none with /none: No such file" in capsys.readouterr().err
