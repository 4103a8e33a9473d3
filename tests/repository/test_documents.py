"""What the package's documents are written from."""

import argparse
import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from deploy.debian import documents
from deploy.debian.completion import completion, zsh_completion
from deploy.debian.documents import commands, man_page
from edge.cli.parser import make_parser
from tests.support.tools import ROOT, need

ZSH_FUNCTIONS: Final = ":".join(map(str, Path("/usr/share/zsh/functions").glob("**/")))
"""The folders of zsh's own functions."""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["", ""], {"run", "setup", "model", "doctor"}),
        (["model", ""], {"activate", "rollback", "sign"}),
        (["setup", "--b"], {"--broker"}),
        (["results", "--since", "5", ""], {"--limit"}),
        (["--config", "edge", "model", ""], {"activate"}),
    ],
)
def test_completion_offers_commands_and_their_options(
    tmp_path: Path, typed: list[str], offered: set[str]
) -> None:
    words = [word for word in typed[:-1] if word] + typed[-1:]
    (tmp_path / "completion").write_text(completion())
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f". {tmp_path}/completion; COMP_WORDS=(mammo-edge {quoted}); "
        f'COMP_CWORD={len(words)}; _mammo_edge; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert offered <= set(done.stdout.split())


def walk(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command of the parser with its long options, the parser itself first."""
    yield (
        path,
        [
            name
            for action in parser._actions
            for name in action.option_strings
            if name.startswith("--")
        ],
    )
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from walk(below, (*path, name))


COMMANDS: Final = dict(walk(make_parser()))


def offers(script: Path, words: Sequence[str]) -> set[str]:
    """What bash would offer after these words."""
    typed = " ".join(f"'{word}'" for word in (*words, ""))
    line = (
        f". {script}; COMP_WORDS=(mammo-edge {typed}); "
        f'COMP_CWORD={len(words) + 1}; _mammo_edge; echo "${{COMPREPLY[@]}}"'
    )
    return set(
        subprocess.run(
            ["bash", "-euc", line], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_completion_knows_every_command_and_option_of_the_parser(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(completion())
    assert len(COMMANDS) > 15
    for path, options in COMMANDS.items():
        below = {other[-1] for other in COMMANDS if other[:-1] == path and other}
        assert offers(script, path) >= below | set(options), path


@pytest.fixture
def zsh(tmp_path: Path) -> list[str]:
    """A zsh that finds the completion, and no configuration of anybody's."""
    (tmp_path / "_mammo-edge").write_text(zsh_completion())
    return ["env", f"FPATH={tmp_path}:{ZSH_FUNCTIONS}", "TERM=dumb", need("zsh", "zsh"), "-f"]


def test_zsh_offers_every_command_and_option_of_the_parser(zsh: list[str]) -> None:
    asked = [
        f"words=(mammo-edge {' '.join(path)} '{typed}'); CURRENT=$#words; _mammo-edge; echo ."
        for path in COMMANDS
        for typed in ("", "-")
    ]
    offer = "compadd() { print -r -- $@ }; _files() { print files }; autoload -U _mammo-edge"
    said = subprocess.run(
        [*zsh, "-c", "\n".join([offer, *asked])], capture_output=True, text=True, check=True
    )
    answers = [set(answer.split()) for answer in said.stdout.split(".\n")]
    for path, options in COMMANDS.items():
        below = {other[-1] for other in COMMANDS if other[:-1] == path and other}
        assert answers.pop(0) >= below, path
        assert answers.pop(0) >= set(options), path


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mod", "model"),
        ("model rollb", "model rollback"),
        ("--config edge.toml model inst", "model install"),
        ("setup --brok", "setup --broker"),
        ("results --since model --lim", "results --since model --limit"),
        ("classify fil", "classify film.dcm"),
        ("setup --password-file fil", "setup --password-file film.dcm"),
    ],
)
def test_zsh_completes_what_is_typed(
    zsh: list[str], tmp_path: Path, typed: str, completed: str
) -> None:
    (tmp_path / "film.dcm").touch()
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        [*zsh, "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, process_group=0
    )
    os.close(theirs)
    try:
        begin = 'autoload -Uz compinit; compinit -u -D; mammo-edge() { print -r -- "GOT<$*>" }'
        os.write(ours, f"{begin}; print BEG''UN\n".encode())
        read_until(ours, b"BEGUN")
        os.write(ours, f"mammo-edge {typed}\t\n".encode())
        assert f"{completed}>" in re.sub(r" +>", ">", read_until(ours, b">\r").decode())
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal: int, end: bytes) -> bytes:
    """Read what a shell writes, up to some bytes."""
    said = b""
    while end not in said:
        assert select.select([terminal], [], [], 240)[0], said
        said += os.read(terminal, 4096)
    return said


def test_the_man_page_explains_every_command_and_option_of_the_parser() -> None:
    page = man_page("1.2.3", datetime(2026, 1, 1, tzinfo=UTC)).replace("\\-", "-")
    sections = dict(re.findall(r"^\.SS ([^\n]+)\n(.*?)(?=^\.S)", page, re.MULTILINE | re.DOTALL))
    groups = {path[:-1] for path in COMMANDS if path}
    assert set(sections) == {" ".join(path) for path in COMMANDS if path not in groups}
    for name, text in sections.items():
        assert [option for option in COMMANDS[tuple(name.split())] if option not in text] == [], (
            name
        )


def anchors(page: str) -> set[str]:
    """The headings of a page, as a link names them."""
    return {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }


def test_every_link_of_a_shipped_document_leads_to_a_shipped_one(tmp_path: Path) -> None:
    documents.copy(tmp_path)
    links = [
        (page, link)
        for page in tmp_path.rglob("*.md")
        for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text())
    ]
    assert len(links) > 20
    for page, link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        # one fact
        assert target.is_relative_to(tmp_path) and target.is_file(), (page, link)  # noqa: PT018
        assert not anchor or anchor in anchors(target.read_text()), (page, link)


def test_the_examples_are_shipped_as_they_lie_in_the_repository(tmp_path: Path) -> None:
    documents.copy(tmp_path)
    assert (tmp_path / "deploy/broker/mosquitto/mammo-edge.acl").read_bytes() == (
        ROOT / "deploy/broker/mosquitto/mammo-edge.acl"
    ).read_bytes()
    assert (tmp_path / "systemd/drop-ins/cpu-only.conf").is_file()


def test_the_man_page_has_every_command() -> None:
    page = man_page("1.2.3", datetime(2026, 1, 1, tzinfo=UTC))
    names = [name for name, _ in commands()]
    assert "model activate" in names
    assert [name for name in names if f".SS {name}\n" not in page] == []


PAGES: Final = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "deploy/README.md"]
    if path.name != "CHANGELOG.md"
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text()
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """A path of this repository begins with one of its folders and stands in backticks."""
    text = (ROOT / page).read_text()
    named = re.findall(
        r"`((?:edge|train|tests|deploy|docs|systemd|requirements)/[^`\s<>*{}]+)`", text
    )
    gone = [path for path in named if not (ROOT / path.partition("::")[0]).exists()]
    assert gone == []


def test_the_architecture_is_a_table_of_at_most_twenty_rows_and_its_files_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.search(r"^\| behaviour \| where \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows
    assert len(rows[1].splitlines()) <= 20
    for row in rows[1].splitlines():
        folder = ROOT
        for name in re.findall(r"`([^`]+)`", row.split("|")[2]):
            path = ROOT / name if (ROOT / name).exists() else folder / name
            assert path.exists(), (row, name)
            folder = path if path.is_dir() else path.parent


def test_each_layer_that_the_architecture_shows_is_one_that_is_checked() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    config = (ROOT / "setup.cfg").read_text()
    for title, contract in (("edge", "edge"), ("daemon", "daemon"), ("train", "train")):
        shown = re.search(rf"^    {title} +(.+)$", text, re.MULTILINE)
        section = config.partition(f"[importlinter:contract:{contract}]")[2]
        layers = section.partition("\nlayers =\n")[2].partition("\n\n")[0].split("\n")
        assert shown
        checked = [" | ".join(re.split(r" [|:] ", layer.strip())) for layer in layers]
        assert shown[1].split(" > ") == [layer for layer in checked if layer != "__main__"]
