"""
The report of `mammo-edge performance`: a model's worth at a site, and what makes it look other.

Only women whose images have a verdict count, and they are no random ones (verification bias: Begg
and Greenes, Biometrics 39 (1983) 207); a verdict of somebody who had seen the score leans to it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from edge.models.pairs import Calls, Pair
from edge.models.performance import Look, look

UNKNOWN: Final = "unknown"
GROUPS: Final[Mapping[str, Callable[[Pair], str | None]]] = {
    "device": lambda pair: pair.machine,
    "view": lambda pair: pair.view,
    "maker": lambda pair: pair.maker,
    "domain": lambda pair: pair.domain,
}
"""The property by which images are put into groups."""
OF_READERS: Final = "reader"


def report(
    pairs: Sequence[Pair], bundle_id: str | None, calls: Mapping[bool, Calls], by: str | None
) -> dict[str, Any]:
    """
    Measure one bundle.

    Args:
        pairs: all verdicts with their scores.
        bundle_id: of the bundle; None if nothing was scored.
        calls: of the bundle: by True, those it called malignant.
        by: a key of `GROUPS`, or None.
    """
    own = [pair for pair in pairs if pair.bundle_id == bundle_id]
    known = [pair for pair in own if pair.woman is not None]
    return {
        "bundle": bundle_id,
        **measured(known),
        "left_out": {"other_bundle": len(pairs) - len(own), "no_woman": len(own) - len(known)},
        "basis": dict(sorted(Counter(pair.basis for pair in known).items())),
        "score_seen": sum(pair.score_seen for pair in known),
        "verified": {
            "called": asdict(calls.get(True, Calls(0, 0))),
            "not_called": asdict(calls.get(False, Calls(0, 0))),
        },
        "by": None if by is None else _groups(known, by),
        "caveats": _caveats(known, calls),
    }


def measured(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the worth of pairs as JSON, `performance` null and `why_not` a sentence if too few."""
    found: Look = look(pairs)
    return asdict(found)


def _groups(pairs: Sequence[Pair], by: str) -> dict[str, Any]:
    names = [GROUPS[by](pair) or UNKNOWN for pair in pairs]
    return {
        name: measured([pair for pair, own in zip(pairs, names, strict=True) if own == name])
        for name in sorted(set(names))
    }


def _caveats(pairs: Sequence[Pair], calls: Mapping[bool, Calls]) -> list[str]:
    shares = [
        f"{calls.get(called, Calls(0, 0)).with_verdict} of {calls.get(called, Calls(0, 0)).images}"
        for called in (True, False)
    ]
    seen = sum(pair.score_seen for pair in pairs)
    read = sum(pair.basis == OF_READERS for pair in pairs)
    bias = (
        f"verification bias: {shares[0]} images called malignant have a verdict, and {shares[1]} "
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
    return [bias, blinding, reference]
