"""The rows in which the demo shows results."""

from dataclasses import dataclass
from typing import Any, Final

NAME: Final = 26
"""Characters of a name; longer ones lose their beginning, which a folder's files share."""
TABLE: Final = f"{{:<{NAME}}} " + "{:<6} {:<9} {:<13} {:>6} {:>9} {:>5}  {}"
HEAD: Final = TABLE.format(
    "mammogram", "by", "truth", "outcome", "score", "threshold", "ms", "result id"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A mammogram that was sent, by which way, and what it shows."""

    name: str
    way: str
    truth: str


UNKNOWN: Final = Sent("?", "?", "?")


def row(result: dict[str, Any], image: Sent) -> str:
    """Write a result in one line, with its reasons if it was rejected."""
    name = image.name if len(image.name) <= NAME else f"…{image.name[1 - NAME :]}"
    if result["score"] is None:
        return TABLE.format(
            name,
            image.way,
            image.truth,
            result["outcome"],
            "-",
            "-",
            "-",
            "; ".join(result["gate"]["reasons"]),
        )
    return TABLE.format(
        name,
        image.way,
        image.truth,
        result["outcome"],
        f"{result['score']['malignant']:.4f}",
        f"{result['decision']['threshold']:.4f}",
        f"{sum(result['timing_ms'][step] for step in ('decode', 'prepare', 'infer')):.0f}",
        result["result_id"],
    )
