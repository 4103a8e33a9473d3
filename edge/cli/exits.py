"""Exit statuses of `mammo-edge`, for the commands, their `--help` and the man page."""

from collections.abc import Mapping
from typing import Final

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
"""The status that argparse ends with."""
CONFIG: Final = 78
"""Configuration or model is unusable: systemd's units do not restart after this status."""
INTERRUPTED: Final = 130
"""The status that shells give a program ended by SIGINT."""
MEANINGS: Final[Mapping[int, str]] = {
    DONE: "done",
    FAILED: "failed",
    USAGE: "wrong usage",
    CONFIG: "configuration or model unusable",
    INTERRUPTED: "interrupted",
}
OF_COMMANDS: Final[Mapping[str, Mapping[int, str]]] = {
    "audit.run_verify": {FAILED: "the log was changed"},
    "check.run": {CONFIG: "a check failed"},
    "classify.run": {FAILED: "a file could not be read"},
    "doctor.checks.run": {FAILED: "a check failed"},
    "page.run": {
        DONE: "stopped by SIGTERM or SIGINT, or token or password is set",
        CONFIG: "configuration unusable, nobody has access yet, or the extra page is missing",
        INTERRUPTED: "",
    },
    "receive.run": {
        DONE: "stopped by SIGTERM or SIGINT",
        CONFIG: "configuration unusable, or the extra dicom is missing",
        INTERRUPTED: "",
    },
    "results.run": {DONE: "done, or --follow was ended by Ctrl-C or by its reader"},
    "results.run_watch": {DONE: "ended by Ctrl-C, or nobody reads any more"},
    "run.run": {DONE: "stopped by SIGTERM or SIGINT", INTERRUPTED: ""},
    "sample.run": {DONE: "scored and published", FAILED: "rejected, or no result, or it waits"},
    "setup.command.run": {
        FAILED: "all is written, but a line about the broker failed, or the try did"
    },
}
"""The more exact meanings of a command's statuses; empty for one that it never ends with."""


def told(command: str = "") -> str:
    """Tell the meaning of each status in a line, for a command named by its function."""
    meanings = {**MEANINGS, **OF_COMMANDS.get(command, {})}
    said = (f"{status} {meaning}" for status, meaning in meanings.items() if meaning)
    return f"exit status: {', '.join(said)}"
