"""Verdicts on images and exams: the command `feedback` at the control socket, and the topic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from edge.contract.feedback import SCHEMA
from edge.contract.feedback import Feedback as Message
from edge.daemon.control.audited import AuditedHandler, Handler
from edge.errors import ConfigError
from edge.health import Health
from edge.storage.audit import Caller
from edge.storage.ledger.verdicts import Kind, Verdict, Verdicts

ID: Final = "64 hexadecimal digits in lower case"
EXPECTED: Final[Mapping[str, str]] = {
    "schema": f'"{SCHEMA}"',
    "image_id": ID,
    "exam_id": ID,
    "truth": "malignant or benign",
    "basis": "biopsy, follow-up or reader",
    "score_seen": "true or false",
}
"""The values that each field may have, in words."""
KINDS: Final[Mapping[str, Kind]] = {"image_id": "image", "exam_id": "exam"}
"""The fields of which a verdict has one."""
KNOWN: Final = "the id of an {} that has a score here"
MOST_FAULTS: Final = 20
"""Faults that one answer names."""
LONGEST: Final = 40
"""Characters that an answer repeats of a value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with a verdict."""

    field: str
    found: str
    expected: str


class Feedback:
    """
    The handler of `feedback`: takes all verdicts of a request or none.

    Args:
        verdicts: of the ledger.
        health: counts them.
    """

    def __init__(self, verdicts: Verdicts, health: Health) -> None:
        self._verdicts = verdicts
        self._health = health

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """
        Store verdicts beside the scores that their images and exams have now.

        Args:
            request: `verdicts`, a list of objects with the fields of the topic's message; each may
                have a `line`, by which a fault is named.

        Raises:
            ConfigError: something is wrong with one of them; the text names lines and fields.
            Unavailable: the disk is full or failing; nothing was stored.
        """
        given = request.get("verdicts")
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            msg = "verdicts: expected a list of objects"
            raise ConfigError(msg)
        verdicts = self._read(given)
        changed = self._verdicts.record(verdicts)
        self._health.count("verdicts", changed)
        return {"verdicts": len(verdicts), "changed": changed}

    def _read(self, given: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        faults: list[tuple[int, Fault]] = []
        read: dict[tuple[Kind, str], tuple[int, Verdict]] = {}
        for number, one in enumerate(given, 1):
            line = one["line"] if isinstance(one.get("line"), int) else number
            message = {**one, "schema": SCHEMA}
            found = faults_of(message)
            if not found:
                verdict = _verdict(message)
                key = verdict.kind, verdict.id
                before = read.get(key)
                if before is not None:
                    again = f"that of line {before[0]}"
                    found = [Fault(f"{verdict.kind}_id", again, f"each {verdict.kind} once")]
                read.setdefault(key, (line, verdict))
            faults += [(line, fault) for fault in found]
        for field, kind in KINDS.items():
            given_ids = [one for of, one in read if of == kind]
            for unknown in self._verdicts.unknown(given_ids, kind):
                fault = Fault(field, unknown[:16], KNOWN.format(kind))
                faults.append((read[kind, unknown][0], fault))
        if faults:
            raise ConfigError("\n".join(_told(sorted(faults, key=lambda item: item[0]))))
        return [verdict for _, verdict in read.values()]


def over_mqtt(handler: AuditedHandler, bases: Sequence[str], caller: Caller) -> Handler:
    """
    Return the handler of the topic's messages, of which each is one verdict.

    It repeats nothing of what came: the answer may reach others.

    Args:
        handler: of `feedback`.
        bases: the only ones that are taken.
        caller: the topic.
    """

    def take(request: Mapping[str, Any]) -> dict[str, Any]:
        faults = faults_of(request)
        if not faults and request["basis"] not in bases:
            faults = [Fault("basis", "", f"one of [intake] feedback: {', '.join(bases)}")]
        if faults:
            msg = "; ".join(f"{fault.field}: expected {fault.expected}" for fault in faults)
            raise ConfigError(msg)
        verdict = {name: request[name] for name in EXPECTED if name in request}
        try:
            return handler({"verdicts": [verdict]}, caller)
        except ConfigError:  # of what is left to be wrong, it repeats the id
            field = next(name for name in KINDS if name in request)
            msg = f"{field}: expected {KNOWN.format(KINDS[field])}"
            raise ConfigError(msg) from None

    return take


def faults_of(given: Mapping[str, Any]) -> list[Fault]:
    """Say what is wrong with a verdict's fields; an empty list if nothing is."""
    try:
        Message.model_validate(given)
    except ValidationError as error:
        places = [one["loc"] for one in error.errors(include_url=False)]
        if not all(places):  # nothing else is wrong
            found = "both" if all(name in given for name in KINDS) else "neither"
            return [Fault(" or ".join(KINDS), found, "one of them")]
        names = [str(place[0]) for place in places]
        return [Fault(name, _shown(given, name), EXPECTED[name]) for name in names]
    return []


def _shown(given: Mapping[str, Any], name: str) -> str:
    return repr(given[name])[:LONGEST] if name in given else "nothing"


def _verdict(given: Mapping[str, Any]) -> Verdict:
    one = Message.model_validate(given)
    kind: Kind = "exam" if one.exam_id else "image"
    return Verdict(one.exam_id or one.image_id, one.truth, one.basis, one.score_seen, kind)


def _told(faults: Sequence[tuple[int, Fault]]) -> list[str]:
    told = [
        f"line {line}: {fault.field}: found {fault.found}, expected {fault.expected}"
        for line, fault in faults[:MOST_FAULTS]
    ]
    more = len(faults) - len(told)
    return [*told, f"and {more} faults more"] if more else told
