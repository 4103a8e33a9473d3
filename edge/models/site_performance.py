"""
The report of `mammo-edge performance`: a model's worth at a site, and what makes it look other.

Only women whose images or exams have a verdict count, and they are no random ones (verification
bias: Begg and Greenes, Biometrics 39 (1983) 207); a verdict of somebody who had seen the score
leans to it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from edge.models.pairs import Calls, Pair
from edge.models.performance import Look, Of, look

UNKNOWN: Final = "unknown"
GROUPS: Final[Mapping[str, Callable[[Pair], str | None]]] = {
    "device": lambda pair: pair.machine,
    "view": lambda pair: pair.view,
    "maker": lambda pair: pair.maker,
    "domain": lambda pair: pair.domain,
}
"""The property by which images are put into groups, and exams but for the view."""
OF_READERS: Final = "reader"


def report(
    pairs: Sequence[Pair],
    bundle_id: str | None,
    calls: Mapping[bool, Calls],
    by: str | None,
    of: Of = "images",
) -> dict[str, Any]:
    """
    Measure one bundle.

    Args:
        pairs: all verdicts on images, or all on exams, with their scores.
        bundle_id: of the bundle; None if nothing was scored.
        calls: of the bundle: by True, those it called malignant.
        by: a key of `GROUPS`, or None.
        of: which of the two the pairs are.
    """
    own = [pair for pair in pairs if pair.bundle_id == bundle_id]
    known = [pair for pair in own if pair.woman is not None]
    return {
        "bundle": bundle_id,
        **measured(known, of),
        "left_out": {"other_bundle": len(pairs) - len(own), "no_woman": len(own) - len(known)},
        "basis": dict(sorted(Counter(pair.basis for pair in known).items())),
        "score_seen": sum(pair.score_seen for pair in known),
        "verified": {
            name: _named(asdict(calls.get(called, Calls(0, 0))), of)
            for name, called in (("called", True), ("not_called", False))
        },
        "by": None if by is None else _groups(known, by, of),
        "caveats": _caveats(known, calls, of),
    }


def measured(pairs: Sequence[Pair], of: Of = "images") -> dict[str, Any]:
    """Return the worth of pairs as JSON, `performance` null and `why_not` a sentence if too few."""
    found: Look = look(pairs, of)
    counts = {name: _named(asdict(getattr(found, name)), of) for name in ("malignant", "benign")}
    return asdict(found) | counts


def _named(counts: dict[str, int], of: Of) -> dict[str, int]:
    """Call what was counted by its name."""
    return {of if name == "images" else name: count for name, count in counts.items()}


def _groups(pairs: Sequence[Pair], by: str, of: Of) -> dict[str, Any]:
    names = [GROUPS[by](pair) or UNKNOWN for pair in pairs]
    return {
        name: measured([pair for pair, own in zip(pairs, names, strict=True) if own == name], of)
        for name in sorted(set(names))
    }


def _caveats(pairs: Sequence[Pair], calls: Mapping[bool, Calls], of: Of) -> list[str]:
    shares = [
        f"{calls.get(called, Calls(0, 0)).with_verdict} of {calls.get(called, Calls(0, 0)).images}"
        for called in (True, False)
    ]
    seen = sum(pair.score_seen for pair in pairs)
    read = sum(pair.basis == OF_READERS for pair in pairs)
    bias = (
        f"verification bias: {shares[0]} {of} called malignant have a verdict, and {shares[1]} "
        "others; if called ones are verified more often, sensitivity looks higher and specificity "
        "lower than they are"
    )
    blinding = (
        f"blinding: {seen} of {len(pairs)} verdicts are by somebody who had seen the score, which "
        "makes the model look better than it is"
    )
    reference = (
        f"reference: {read} of {len(pairs)} verdicts rest on a reader's opinion alone, which is no "
        "proof"
    )
    one_breast = (
        "exams: an exam counts whole, also where one breast alone was scored; what the other one "
        "had is then held against the model"
    )
    return [bias, blinding, reference, *([one_breast] if of == "exams" else [])]
