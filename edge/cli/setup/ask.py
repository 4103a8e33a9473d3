"""Questions to a person at a terminal."""

import getpass
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edge.cli.setup.answer import AnswerError, check
from edge.cli.setup.config_file import tables_of
from edge.cli.setup.instance import config_of, places_of, refuse_name
from edge.cli.setup.plan import host_and_port
from edge.config.settings import Settings
from edge.errors import ConfigError

STOPPED: Final = "setup: stopped, and nothing was written"
ASKED: Final = {
    "broker": ("broker", "host"),
    "site": ("device", "site"),
    "device": ("device", "name"),
    "inbox": ("inbox", "path"),
}
"""Each question, with the section and key of its answer."""


def read_password(file: str | None) -> str | None:
    """
    Read the first line of a file; of `-`, typed unseen or from the standard input.

    Raises:
        ConfigError: the file cannot be read, or the person does not want to type.
    """
    if file is None:
        return None
    try:
        if file != "-":
            return Path(file).read_text(encoding="utf-8").partition("\n")[0]
        return (
            getpass.getpass("broker password: ")
            if sys.stdin.isatty()
            else sys.stdin.readline().rstrip("\n")
        )
    except (EOFError, KeyboardInterrupt):
        raise ConfigError(STOPPED) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--password-file: {file}: {getattr(error, 'strerror', 'not text')}"
        raise ConfigError(msg) from None


def asks(said: Mapping[str, str | None]) -> bool:
    """Say if a person is there to be asked: at a terminal, where no broker was said."""
    return said["broker"] is None and sys.stdin.isatty()


def ask_for(
    said: Mapping[str, str | None],
    root: Path,
    instance: str | None,
    resolve: Callable[[str], list[str]],
    *,
    meant: str | None = None,
) -> dict[str, str | None]:
    """
    Ask for everything that was not said; an empty answer keeps a value.

    Each answer is checked at once, and asked for again if it cannot be taken.

    Args:
        said: answers from the command line, by the keys of ASKED.
        root: `/`, or another system's tree.
        instance: the instance's name; None for the service.
        resolve: returns a host's addresses as text; an empty list if it has none.
        meant: an answer that an empty one takes.

    Raises:
        ConfigError: the person wants no more questions, or the configuration cannot be read.
    """
    refuse_name(instance)
    known = _known(tables_of(config_of(root, instance)), instance)
    with stoppable():
        return {key: value or _ask(key, known[key], resolve, meant) for key, value in said.items()}


@contextmanager
def stoppable() -> Iterator[None]:
    """
    Run the block, which asks a person.

    Raises:
        ConfigError: the person wants no more questions, or types no text.
    """
    try:
        yield
    except (EOFError, KeyboardInterrupt):
        raise ConfigError(STOPPED) from None
    except UnicodeDecodeError:
        msg = "setup: found bytes that are no text in UTF-8, and nothing was written"
        raise ConfigError(msg) from None


def agrees(question: str, *, default: bool) -> bool:
    """Ask for yes or no; an empty answer is the default, and no more typing is no."""
    try:
        return affirms(question, default=default)
    except (EOFError, KeyboardInterrupt):
        return False


def affirms(question: str, *, default: bool) -> bool:
    """Ask for yes or no; an empty answer is the default."""
    answer = input(f"{question}? [{'Y/n' if default else 'y/N'}]: ").strip().lower()
    return answer in {"y", "yes"} or (default and not answer)


def _ask(
    question: str,
    kept: object,
    resolve: Callable[[str], list[str]],
    suggestion: str | None,
) -> str | None:
    """Ask until an answer can be taken; an empty one keeps a value, or takes the suggestion."""
    doubted = None
    while True:
        answer = input(f"{question} [{suggestion or kept}]: ").strip() or suggestion
        if answer is None:
            return None
        try:
            check(question, answer)
        except AnswerError as error:
            print(error)
            suggestion = error.suggestion
            continue
        if question != "broker" or answer == doubted or resolve(host_and_port(answer)[0]):
            return answer
        print(f"broker: no address is known of {answer}; Enter takes it all the same")
        suggestion = doubted = answer


def _known(existing: Mapping[str, Any], instance: str | None) -> dict[str, object]:
    """Return the value that an empty answer keeps, for each question."""
    places, defaults = places_of(instance), Settings()

    def kept(section: str, key: str) -> object:
        table = {**places.get(section, {}), **existing.get(section, {})}
        return table.get(key, getattr(getattr(defaults, section), key))

    return {name: kept(*key) for name, key in ASKED.items()}
