"""Write the page of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

HEAD: Final = """# Benchmarks

Written by `make bench`, which measures all of it anew and rewrites this page.
Times are wall clock in milliseconds, `median (lowest to highest)`; what is compared was measured in turns, one right after the other, in the same run.
On a device of yours: `mammo-edge bench`.

**Research software, not a medical device. Not for diagnosis or treatment.**
"""
QUICK: Final = (
    "A quick run, with tiny files, to see that the benchmark works: its figures say nothing."
)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that was wanted, and the one that was found."""

    what: str
    wanted: str
    found: str
    met: bool
    limit: str
    """The cause that keeps the figure from being better."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the page with its text."""

    title: str
    text: str
    targets: tuple[Target, ...] = ()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def page(
    facts: Sequence[tuple[str, str]], sections: Sequence[Section], cautions: Sequence[str] = ()
) -> str:
    """Write the whole page: warnings, machine, targets, then section by section."""
    targets = [target for section in sections for target in section.targets]
    rows = [
        (one.what, one.wanted, one.found, "met" if one.met else "**not met**", one.limit)
        for one in targets
    ]
    parts = [
        HEAD + "".join(f"\n**{caution}**\n" for caution in cautions),
        "## Where\n\n" + table(("", ""), facts),
    ]
    parts.append(
        "## Targets\n\n" + table(("target", "wanted", "found", "", "what limits it"), rows)
    )
    parts += [f"## {section.title}\n\n{section.text}" for section in sections]
    return "\n".join(part.rstrip() + "\n" for part in parts)
