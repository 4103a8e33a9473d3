"""Advice on a reason or a rejection, for `mammo-edge status` and docs/guides/operations.md."""

from collections.abc import Mapping
from typing import Final

from edge.errors import Reason
from edge.health import Cause

ACL: Final = "`deploy/broker/mosquitto/mammo-edge.acl`"
DEGRADED: Final[Mapping[Cause, str]] = {
    Cause.BROKER_AWAY: (
        "running? certificates? ACL? another MQTT version now (`[broker] protocol`)? "
        "`mammo-edge doctor` tries them"
    ),
    Cause.LOOP_FAILED: (
        "it names a folder or an error of the disk: is it mounted, `dmesg`? else a defect: please "
        "report it with `journalctl -u mammo-edge -p err`; all else goes on"
    ),
    Cause.LOOP_HANGS: (
        "a disk or server that does not answer (`dmesg`), or a defect: under systemd the watchdog "
        "ends it and the service starts again"
    ),
    Cause.CLIENT_ID_TAKEN: (
        "two devices of one site and name, or one `[broker] client_id` on both: give each its own"
    ),
    Cause.SUBSCRIPTION_REFUSED: (
        f"let the device read `request/+` and `command/#` ({ACL}); `mammo-edge doctor` tries them"
    ),
    Cause.MODEL_SUBSCRIPTION_REFUSED: (
        f"let the device read `model/#` ({ACL}), and give the command again"
    ),
    Cause.STATUS_REFUSED: f"let the device write `status` and `health` ({ACL})",
    Cause.STATUS_HUNG_UP: (
        f"let the device write `status` and `health` ({ACL}); it is told only now and then"
    ),
    Cause.INFO_REFUSED: f"let the device write `info` ({ACL})",
    Cause.INFO_HUNG_UP: f"let the device write `info` ({ACL}); it is told only now and then",
    Cause.HOMEASSISTANT_REFUSED: (
        f"let the device write its discovery topic ({ACL}) and restart, or switch it off"
    ),
    Cause.HOMEASSISTANT_HUNG_UP: (
        f"let the device write its discovery topic ({ACL}) and restart, or switch it off"
    ),
    Cause.COMMAND_ANSWER_REFUSED: (
        f"let the device write `command/+/ack` and `command/+/+/ack` ({ACL})"
    ),
    Cause.COMMAND_ANSWER_HUNG_UP: (
        f"let the device write `command/+/ack` and `command/+/+/ack` ({ACL})"
    ),
    Cause.MQTT_UNAVAILABLE: (
        "results wait and are sent again; is the broker up and quick enough? `mammo-edge doctor`"
    ),
    Cause.MQTT_REFUSED: (
        "the broker refuses them: its ACL or packet size; they are sent again at the next "
        "connection"
    ),
    Cause.REPLIES_UNAVAILABLE: (
        "replies wait and are sent again; is the broker up and quick enough? `mammo-edge doctor`"
    ),
    Cause.REPLIES_REFUSED: (
        "let the device write the response topics that requests name; each reply is given up "
        "after `[publish] reply_expiry_s`, and its result stays in the ledger"
    ),
    Cause.EXAMS_UNAVAILABLE: "is the broker up? results of exams are kept and sent then",
    Cause.EXAMS_REFUSED: f"let the device write `exam` ({ACL}); they are kept and tried again",
    Cause.EXAM_SEVERAL_PATIENTS: (
        "have the sender mend the study's Patient IDs; restart when you have read this"
    ),
    Cause.EXAM_TOO_LARGE: (
        "give each exam a reference, or a folder, of its own; restart when you have read this"
    ),
    Cause.JSONL_UNAVAILABLE: (
        "the file of `[publish] jsonl`: its folder, rights, and room on its disk"
    ),
    Cause.DICOM_UNAVAILABLE: (
        "as the rest of the line says: is the PACS up, and does it know this device's AE title "
        "and address? reports are kept and sent then"
    ),
    Cause.DICOM_REFUSED: (
        "the status in the line, and the log of the PACS; they are kept and tried again every "
        "ten minutes"
    ),
    Cause.MAPS_UNAVAILABLE: "as `dicom_unavailable`; pictures of maps are kept and sent then",
    Cause.MAPS_REFUSED: (
        "as `dicom_refused`: does the PACS take Secondary Capture? or, as the rest of the line "
        "says, it could not be drawn"
    ),
    Cause.MAPS_NOT_POINTING: (
        "remove `[pacs] map`, or let a model serve whose map was measured to point at lesions"
    ),
    Cause.OUTBOX_UNAVAILABLE: "free disk space, or look at the disk itself: `dmesg`",
    Cause.FILES_WAIT: "as the rest of the line says; they are taken once that is mended",
    Cause.REQUESTS_WAIT: "as the rest of the line says; they are taken once there is room",
    Cause.INBOX_AWAY: (
        "is it mounted, and may the group `mammo-edge` read, write and remove there?"
    ),
    Cause.INBOX_WITHOUT_EVENTS: (
        "files are noticed a little later; `mammo-edge doctor` says if the kernel's limit is low"
    ),
    Cause.INBOX_UNREADABLE: "let the group `mammo-edge` read the files and enter the folders",
    Cause.INBOX_LOCKED: "`mammo-edge doctor` names the folders and the command that opens them",
    Cause.INBOX_SET_ASIDE: "`journalctl -u mammo-edge -p err`; send the file again, or remove it",
    Cause.INBOX_UNFINISHED: "is the sender stuck? the files are taken once they are closed",
    Cause.INBOX_HANGS: "is its server up? look at the mount: `mount`, `dmesg`",
    Cause.INBOX_UNDELETABLE: "let the group `mammo-edge` write in the folder",
    Cause.RECEIVER_AWAY: (
        "`systemctl status mammo-edge-dicom` says why it does not run; modalities cannot send"
    ),
    Cause.ORPHANS_LEFT: (
        "owner and mode of the files in `spool/claimed`, or the disk: `dmesg`; they are tried "
        "again each minute"
    ),
    Cause.SPACE_SHORT: "free disk space: shorten `[retention]`, or archive `done` elsewhere",
    Cause.SPOOL_UNAVAILABLE: "is its disk mounted? look at the disk itself: `dmesg`",
    Cause.STORAGE_UNAVAILABLE: "free disk space, or look at the disk itself: `dmesg`",
    Cause.WORKERS_UNAVAILABLE: (
        "memory short, or the model's folder unreadable: `journalctl -u mammo-edge`, "
        "`mammo-edge check`"
    ),
    Cause.ARCHIVE_UNAVAILABLE: (
        "the image was scored and its result is safe; free disk space, or look at the disk: is it "
        "mounted, `dmesg`?"
    ),
    Cause.RETENTION_FAILED: (
        "old files cannot be removed: rights of `done`, `failed` and the state folder; "
        "is the archive's disk mounted?"
    ),
    Cause.LEDGER_REBUILT: (
        "read it, tell who collects results that numbers begin anew, then restart the service"
    ),
    Cause.CONFIG_REFUSED: "mend what the line names, `mammo-edge check`, then `mammo-edge reload`",
    Cause.MODEL_UNUSABLE: "another one serves: `mammo-edge model list`, then install it again",
    Cause.MODEL_ROLLED_BACK: (
        "another one serves: `mammo-edge model list`; ask whoever made the one that failed"
    ),
    Cause.MODEL_NOT_ROLLED_BACK: (
        "the model that failed still serves: `mammo-edge model list`, then activate another one"
    ),
    Cause.SHADOW_WITHOUT_BROKER: "configure `[broker]`, or remove `[model] shadow`, and restart",
    Cause.SHADOW_UNUSABLE: (
        "the first model goes on without it: `mammo-edge model list`, then restart the service"
    ),
    Cause.SHADOW_HUNG_UP: f"let the device write `shadow/result` ({ACL}) and restart",
    Cause.CORAL_BUSY: (
        "the processor works in its place, and nothing is lost; which other process has it?"
    ),
    Cause.CORAL_UNAVAILABLE: (
        "the processor works in its place, and nothing is lost: `docs/guides/coral.md`"
    ),
}
"""Advice by the code of a reason for being degraded."""

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
    Reason.NOT_ONE_WHOLE_BREAST: (
        "send one breast a picture, from the chest wall to the skin: no collage, no piece, no page"
    ),
    Reason.MISSING: "send the reference again once the file is in the inbox",
    Reason.POISON: "it kills or stalls workers: raise `[worker]` limits, then `mammo-edge retry`",
}
"""Advice by the reason of a rejection."""

FALLBACK: Final = "`journalctl -u mammo-edge -p warning`, `mammo-edge doctor`"


def about(code: str | None) -> str:
    """Return the advice for one of `reason_codes`, or a general one for an unknown code."""
    return DEGRADED[Cause(code)] if code in list(Cause) else FALLBACK


def about_rejection(reason: str) -> str:
    """Return the advice for a sentence of `gate.reasons`."""
    name = reason.partition(": ")[0]
    return REJECTIONS[Reason(name)] if name in list(Reason) else FALLBACK
