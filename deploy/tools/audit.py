"""
Audit the libraries without a network: licences, hashes, conflicts.

`python -m deploy.tools.audit` is part of `make check`. Known vulnerabilities need an advisory
database: `make audit`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from deploy.debian.documents import licence_of

OURS: Final = "mammo-edge"
REQUIREMENTS: Final = Path(__file__).parent.parent.parent / "requirements"
LOCKS: Final = tuple(
    REQUIREMENTS / f"{name}.txt"
    for name in ("litert", "litert-fast", "tflite-runtime", "tflite-runtime-fast", "dicom", "page")
)
"""The locks of the libraries that a device gets."""
PERMISSIVE: Final = re.compile(
    r"""(the\ )?(
        apache([-\ ](software\ )?licen[cs]e)?(,?\ (version\ )?|-)?(2(\.0)?)?
      | (3-clause\ )?bsd([-\ ][0234]-clause|-clause)?(\ licen[cs]e)?
      | 0bsd | mit(-0|-cmu)?(\ licen[cs]e)? | isc(\ licen[cs]e)?(\ \(iscl\))?
      | psf-2\.0 | psfl? | python\ software\ foundation\ licen[cs]e
      | zlib | cc0-1\.0 | hpnd | unlicense | boost.*1\.0
    )""",
    re.VERBOSE | re.IGNORECASE,
)
"""Licences under which the product can be passed on with their notices alone."""
WEAK: Final = re.compile(r"mpl-2\.0|mozilla public license 2\.0 \(mpl 2\.0\)", re.IGNORECASE)
"""
A licence that asks for the changed files of that library alone; fine for tools, which no device
gets.
"""
SHIPPED_EXCEPTIONS: Final[Mapping[str, str]] = {
    "pebble": (
        "LGPL-3.0, unmodified, a package that a user can exchange: "
        "docs/adr/0002-pebble-for-worker-processes.md"
    ),
    "tqdm": "MPL-2.0 and MIT, unmodified; ai-edge-litert asks for it",
}
UNSAID: Final[Mapping[str, str]] = {"namex": "Apache-2.0, by its repository"}
"""Tools whose metadata name no licence."""


def main() -> int:
    """Print each finding on a line; returns the exit status."""
    wrong = [
        *licences(installed()),
        *(line for lock in LOCKS for line in hashes(lock.name, lock.read_text())),
        *conflicts(),
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def installed() -> dict[str, str]:
    """Give the licence of every installed package but ours, by name."""
    found = {
        normal(one.metadata["Name"]): licence_of(one.read_text("METADATA") or "")
        for one in distributions()
    }
    return {name: licence for name, licence in found.items() if name != OURS}


def licences(found: Mapping[str, str]) -> Iterator[str]:
    """
    Yield the packages whose licence is not allowed for their use.

    Args:
        found: licence by package.
    """
    shipped = {name for lock in LOCKS for name in pins(lock.read_text())}
    for name, licence in sorted(found.items()):
        on_devices = name in shipped
        known = SHIPPED_EXCEPTIONS if on_devices else {**SHIPPED_EXCEPTIONS, **UNSAID}
        if name not in known and not allowed(licence, tool=not on_devices):
            where = "on devices permissive ones" if on_devices else "permissive ones or the MPL"
            yield (
                f"{name}: its licence is {licence!r}, expected {where}: replace "
                "it, or write down why in deploy/tools/audit.py"
            )


def allowed(licence: str, *, tool: bool) -> bool:
    """
    Decide if a licence is allowed: an SPDX expression, or the free text of older metadata.

    Of `OR` one side must be allowed, of `AND` both.
    """
    text = licence.strip("() ")
    for word, enough in ((" OR ", any), (" AND ", all)):
        if word in text:
            return enough(allowed(part, tool=tool) for part in text.split(word))
    return bool(
        PERMISSIVE.fullmatch(licence.strip())
        or PERMISSIVE.fullmatch(text)
        or (tool and WEAK.fullmatch(licence.strip()))
    )


def hashes(name: str, text: str) -> Iterator[str]:
    """
    Yield the pins that a device would install without a hash check.

    Args:
        name: of the lock.
        text: its content.
    """
    lines = "\n".join(
        line for line in text.splitlines() if not line.lstrip().startswith("#")
    ).replace("\\\n", " ")
    for line in filter(str.strip, lines.splitlines()):
        if not re.fullmatch(
            r"\s*[A-Za-z0-9._-]+==[\w.!+-]+(\s*;.*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line
        ):
            yield (
                f"requirements/{name}: {line.split()[0]} has no version with its hashes: make lock"
            )


def pins(text: str) -> list[str]:
    """List the packages of a lock."""
    return [normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)]


def conflicts() -> Sequence[str]:
    """
    Yield the conflicts between installed packages that pip finds.

    Ours are left out: in the environment of the other runtime the distribution asks for litert (ADR
    1).
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [
        line
        for line in done.stdout.splitlines()
        if done.returncode and not line.startswith(f"{OURS} ")
    ]


def normal(name: str) -> str:
    """Normalise a package's name as the index does."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
