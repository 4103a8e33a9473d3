"""
What to do about a reason for being degraded, and about a rejected image; `mammo-edge status` says
it, docs/guides/operations.md too.
"""

from collections.abc import Mapping
from typing import Final

from edge.errors import Reason

REASONS: Final[Mapping[str, str]] = {
    "broker:": "running? certificates? ACL? `mammo-edge doctor` tries them",
    "spool:": "free disk space: shorten `[retention]`, or archive `done` elsewhere",
    "archive:": "as for `spool:`; the image was scored and its result is safe",
    "ledger:": "free disk space, or look at the disk itself: `dmesg`",
    "the ledger was": (
        "read it, tell who collects results that numbers begin anew, then restart the service"
    ),
    "inbox:": "is it mounted, and may the group `mammo-edge` read, write and remove there?",
    "files wait in the inbox:": "as the rest of the line says; they are taken once that is mended",
    "requests wait at the broker:": (
        "as the rest of the line says; they are taken once there is room"
    ),
    "worker:": (
        "memory short, or the model's folder unreadable: "
        "`journalctl -u mammo-edge`, `mammo-edge check`"
    ),
    "no worker came up": (
        "memory or processor short: `journalctl -u mammo-edge`, `mammo-edge check`"
    ),
    "model:": "another one serves: `mammo-edge model list`; ask whoever made the one that failed",
    "shadow model:": (
        "the first model goes on without it: `mammo-edge model list`, then restart the service"
    ),
    "mqtt:": (
        "the broker refuses them: its ACL or packet size; they "
        "are sent again at the next connection"
    ),
    "jsonl:": "the file of `[publish] jsonl`: its folder, rights, and room on its disk",
    "retention:": "old files cannot be removed: rights of `done`, `failed` and the state folder",
    "coral:": (
        "the processor works in its place, and nothing is lost: "
        "`docs/guides/operations.md`, *A Coral accelerator*"
    ),
    "model/available:": (
        "let the device read `model/#` "
        "(`deploy/broker/mosquitto/mammo-edge.acl`), and give the "
        "command again"
    ),
    "command:": (
        "let the device write `command/+/ack` and `command/+/+/ack` "
        "(`deploy/broker/mosquitto/mammo-edge.acl`)"
    ),
    "homeassistant:": (
        "let the device write its discovery topic "
        "(`deploy/broker/mosquitto/mammo-edge.acl`) and restart, or switch "
        "it off"
    ),
}
"""By how a reason begins."""

REJECTIONS: Final[Mapping[Reason, str]] = {
    Reason.EMPTY: "the sender wrote nothing: send it again",
    Reason.TOO_LARGE: (
        "if it is a mammogram, raise `[worker] max_file_mb`, `max_megapixels` or `memory_mb`"
    ),
    Reason.TRUNCATED: "the sender stopped half-way: send it again, as `NAME.part`, then rename it",
    Reason.UNREADABLE: "damaged, or of a kind that is not read: open it where it came from",
    Reason.UNSUPPORTED_FORMAT: "have the sender export DICOM, PNG, JPEG or TIFF",
    Reason.UNSUPPORTED_TRANSFER_SYNTAX: (
        "have the sender compress otherwise; some need the extra `fast` (`docs/guides/install.md`)"
    ),
    Reason.NO_PIXELS: "no image in it, such as a report: have the sender leave such files out",
    Reason.COLOUR: "a screenshot or a photo: send the mammogram itself",
    Reason.MULTI_FRAME: "tomosynthesis is not supported: send the synthesised or the 2D view",
    Reason.NOT_A_MAMMOGRAM: (
        "if it is one, its kind is not what the model knows: `docs/quality/model-card.md`"
    ),
    Reason.MISSING: "send the reference again once the file is in the inbox",
    Reason.POISON: "it kills or stalls workers: raise `[worker]` limits, then `mammo-edge retry`",
}
"""By the reason of a rejection."""

FALLBACK: Final = "`journalctl -u mammo-edge -p warning`, `mammo-edge doctor`"


def about(reason: str) -> str:
    """What to do about a sentence of `reasons`."""
    return next(
        (advice for beginning, advice in REASONS.items() if reason.startswith(beginning)), FALLBACK
    )


def about_rejection(reason: str) -> str:
    """What to do about a sentence of `gate.reasons`."""
    name = reason.partition(": ")[0]
    return REJECTIONS[Reason(name)] if name in list(Reason) else FALLBACK
