"""Writes into the audit log what a command was to do, before it is obeyed, and what came of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from edge.errors import ConfigError, MammoEdgeError, Unavailable
from edge.storage.audit import Audit, Caller

Handler: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Obeys a command: a request's fields in, the answer's fields out."""
AuditedHandler: TypeAlias = Callable[[Mapping[str, Any], Caller], dict[str, Any]]
"""Obeys a command for a caller: a request's fields and who asks in, the answer's fields out."""

TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "replay": ("results", "last_seq"),
    "retry": ("images",),
    "reload": ("bundle", "changed"),
    "model-install": ("bundle",),
    "model-activate": ("bundle", "previous"),
    "model-rollback": ("bundle", "previous"),
    "feedback": ("verdicts", "changed"),
    "forget": ("digest", "files", "results"),
}
"""Commands that change something, and the fields of their answers that an entry has."""

ROOT_ONLY: Final = frozenset({"forget"})
"""Commands that only root is obeyed, and only at the control socket."""


def audited(handlers: Mapping[str, Handler], audit: Audit) -> dict[str, AuditedHandler]:
    """Return the handlers of commands with those that change something written down."""
    return {
        name: functools.partial(_obey, name, handler, audit if name in TOLD else None)
        for name, handler in handlers.items()
    }


def _obey(
    name: str, handler: Handler, audit: Audit | None, request: Mapping[str, Any], caller: Caller
) -> dict[str, Any]:
    if audit is None:
        return handler(request)
    asked = audit.add(name, caller, step="asked").number
    try:
        if name in ROOT_ONLY and caller.uid != 0:
            msg = f"{name}: only root may have it done, at the control socket of the device"
            raise ConfigError(msg)
        answer = handler(request)
    except MammoEdgeError as error:
        _conclude(audit, name, caller, of=asked, step="refused", why=type(error).__name__)
        raise
    _conclude(audit, name, caller, of=asked, step="done", **_details(name, answer))
    return answer


def _conclude(audit: Audit, name: str, caller: Caller, **details: object) -> None:
    """Write what came of a command; on a full disk the entry that it was asked stands alone."""
    try:
        audit.add(name, caller, **details)
    except Unavailable:
        return


def _details(name: str, answer: Mapping[str, Any]) -> dict[str, object]:
    """Take fields of an answer; of a list of images only its length, for an id is a pseudonym."""
    found = {key: answer[key] for key in TOLD[name] if key in answer}
    return {key: len(value) if key == "images" else value for key, value in found.items()}
