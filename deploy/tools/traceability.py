"""
Write docs/quality/traceability.md: each promise and each hazard with the tests that show it.

    python -m deploy.tools.traceability

The words are those of docs/quality/promises.toml; a test that is not there is an error.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

ROOT: Final = Path(__file__).parent.parent.parent
SOURCE: Final = ROOT / "docs/quality/promises.toml"
HEAD: Final = """\
# Promises, hazards and the tests that show them

Written by `make docs` from `docs/quality/promises.toml`; change that file, not this page.
Each test named here exists, and `make ci` runs it.

**Research software, not a medical device.**
"""


class Promise(BaseModel):
    """A promise of the product, the page that says so, and the tests that show it."""

    model_config = ConfigDict(extra="forbid")
    text: str
    page: str
    tests: list[str]


class Hazard(BaseModel):
    """A way to harm a woman, what stops it, the tests that show it, and what remains."""

    model_config = ConfigDict(extra="forbid")
    hazard: str
    cause: str
    stops: str
    tests: list[str]
    remains: str


class Known(BaseModel):
    """The whole of promises.toml."""

    model_config = ConfigDict(extra="forbid")
    promise: list[Promise]
    hazard: list[Hazard]


def known() -> Known:
    """Read promises.toml; raises `ValidationError` if it is not laid out so."""
    return Known.model_validate(tomllib.loads(SOURCE.read_text(encoding="utf-8")))


def missing(found: Known) -> list[str]:
    """List what is wrong: a promise or hazard without a test, a test or page that is not there."""
    named = [(item.text, item.tests) for item in found.promise]
    named += [(item.hazard, item.tests) for item in found.hazard]
    wrong = [f"no test shows: {text}" for text, tests in named if not tests]
    wrong += [f"no such test: {test}" for _, tests in named for test in tests if not _there(test)]
    pages = (item.page for item in found.promise)
    return wrong + [
        f"no such page: {page}" for page in pages if not (ROOT / "docs" / page).exists()
    ]


def page(found: Known) -> str:
    """Lay both tables out in Markdown."""
    promises = [
        f"| [{item.text}](../{item.page}) | {_tests(item.tests)} |" for item in found.promise
    ]
    hazards = [
        f"| {item.hazard} | {item.cause} | {item.stops} | {_tests(item.tests)} | {item.remains} |"
        for item in found.hazard
    ]
    parts = [
        HEAD,
        "## Promises\n",
        "| promise | tests |\n|---|---|",
        *promises,
        "\n## Hazards\n",
        "| hazard | cause | what stops it | tests | what remains |\n|---|---|---|---|---|",
        *hazards,
    ]
    return "\n".join(parts) + "\n"


def _there(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.is_file() and (
        not name or re.search(rf"def {name}\(", path.read_text(encoding="utf-8")) is not None
    )


def _tests(tests: list[str]) -> str:
    return ", ".join(f"`{test}`" for test in tests)


def main() -> int:
    """Print the page; return 1 and say why if a test or page is not there."""
    found = known()
    wrong = missing(found)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(page(found), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
