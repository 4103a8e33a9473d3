"""Checks of each answer by itself, with a suggestion where one can be made."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edge.cli.setup.dropin import SERVICE_ROOT, refuse_unseen
from edge.cli.setup.plan import host_and_port
from edge.config.section import LEVEL_LENGTH, is_level
from edge.errors import ConfigError

LAST_PORT: Final = 65535
SPELLED: Final = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ø"): "o"}


class AnswerError(ConfigError):
    """The answer cannot be taken; `suggestion` is one that can, if there is one."""

    def __init__(self, why: str, suggestion: str | None = None) -> None:
        super().__init__(f"{why}; did you mean {suggestion}?" if suggestion else why)
        self.suggestion = suggestion


def check(question: str, answer: str | None) -> None:
    """
    Check the answer to a question of `ASKED`; None, for no answer, is right.

    Raises:
        AnswerError: it cannot be taken; found versus expected, and a suggestion.
    """
    if answer is not None:
        CHECKS[question](question, answer)


def _check_level(question: str, answer: str) -> None:
    """Check a level of the topics: a site, or a device."""
    if is_level(answer):
        return
    expected = f"lower-case letters, digits, - and _, at most {LEVEL_LENGTH}"
    msg = f"{question}: found {answer!r}, expected {expected}"
    raise AnswerError(msg, _as_level(answer))


def _as_level(text: str) -> str | None:
    spelled = text.casefold().translate(SPELLED)
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    return words[:LEVEL_LENGTH].rstrip("-_") or None


def _check_broker(question: str, answer: str) -> None:
    try:
        host, port = host_and_port(answer)
    except ConfigError as error:
        raise AnswerError(str(error), _as_broker(answer)) from None
    if port is not None and not 1 <= port <= LAST_PORT:
        msg = f"{question}: found port {port}, expected 1 to {LAST_PORT}"
        raise AnswerError(msg, host)


def _as_broker(answer: str) -> str | None:
    """Find the machine in a URL of another kind, or a port after a space."""
    if in_url := re.search(r"://(?:[^/@]*@)?([\w.-]+)", answer):
        return in_url[1]
    apart = re.fullmatch(r"([\w.-]+) +(\d+)", answer)
    return f"{apart[1]}:{apart[2]}" if apart else None


def _check_inbox(question: str, answer: str) -> None:
    try:
        refuse_unseen(question, Path(answer))
    except ConfigError as error:
        raise AnswerError(str(error), f"{SERVICE_ROOT}/{Path(answer).name or 'inbox'}") from None


CHECKS: Final[Mapping[str, Callable[[str, str], None]]] = {
    "broker": _check_broker,
    "site": _check_level,
    "device": _check_level,
    "inbox": _check_inbox,
}
