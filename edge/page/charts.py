"""The geometry of the page's charts; the templates draw it as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from edge.storage.ledger.worklist import Day, DayOfScores

WIDTH: Final = 320.0
HEIGHT: Final = 96.0
DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart: places and sizes in units of the chart, and its words."""

    x: float
    width: float
    upper: float
    """Height of the upper part, for the rarer of two kinds."""
    lower: float
    words: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars side by side."""

    bars: tuple[Bar, ...]
    words: str
    """The chart in a sentence, for who cannot see it."""
    first: str
    last: str
    line: str = ""
    """Points of a line over the bars, as SVG's `points`; empty for none."""
    mark: float | None = None
    """Place of a vertical line."""


def days_until(today: date, number: int = DAYS) -> list[str]:
    """List the last days as YYYY-MM-DD, today the last."""
    return [str(today - timedelta(days=back)) for back in reversed(range(number))]


def counts(days: Sequence[str], found: Sequence[Day]) -> Bars:
    """Draw scored and rejected images of each day."""
    by_day: Mapping[str, Day] = {one.day: one for one in found}
    shown = [by_day.get(day, Day(day, 0, 0)) for day in days]
    most = max(1, *(one.scored + one.rejected for one in shown))
    step = WIDTH / len(days)
    bars = tuple(
        Bar(
            at * step + step * 0.15,
            step * 0.7,
            HEIGHT * one.rejected / most,
            HEIGHT * one.scored / most,
            f"{one.day}: {one.scored} scored, {one.rejected} rejected",
        )
        for at, one in enumerate(shown)
    )
    scored, rejected = sum(one.scored for one in shown), sum(one.rejected for one in shown)
    words = f"{scored} images scored and {rejected} rejected in {len(days)} days, {most} on one day"
    return Bars(bars, words, days[0], days[-1])


def spread(
    found: Sequence[int], reference: Sequence[int], threshold: float | None, index: float | None
) -> Bars:
    """
    Draw the spread of recent scores, and as a line that of the model's validation images.

    Args:
        found: counts in equal bins from 0 to 1.
        reference: the same of the validation images; empty if it is not known.
        threshold: the one decided with last.
        index: the stability index; None for too few scores, or no reference.
    """
    shares = [count / max(1, sum(found)) for count in found]
    expected = [count / max(1, sum(reference)) for count in reference]
    most = max(0.01, *shares, *expected)
    step = WIDTH / len(found)
    bars = tuple(
        Bar(
            at * step + step * 0.1,
            step * 0.8,
            0.0,
            HEIGHT * share / most,
            f"{at / len(found):.2f} to {(at + 1) / len(found):.2f}: {found[at]} images",
        )
        for at, share in enumerate(shares)
    )
    line = " ".join(
        f"{at * step:.1f},{HEIGHT - HEIGHT * share / most:.1f} "
        f"{(at + 1) * step:.1f},{HEIGHT - HEIGHT * share / most:.1f}"
        for at, share in enumerate(expected)
    )
    if not reference:
        drift = "no reference known for this bundle"
    else:
        drift = "too few for a drift index" if index is None else f"drift index {index:.3f}"
    mark = None if threshold is None else WIDTH * threshold
    return Bars(bars, f"spread of {sum(found)} recent scores, {drift}", "0", "1", line, mark)


def means(days: Sequence[str], found: Sequence[DayOfScores]) -> Bars:
    """Draw the mean score of each day, from 0 to 1."""
    by_day = {one.day: one for one in found}
    step = WIDTH / len(days)
    bars = tuple(
        Bar(
            at * step + step * 0.15,
            step * 0.7,
            0.0,
            HEIGHT * by_day[day].mean,
            f"{day}: mean score {by_day[day].mean:.3f} of {by_day[day].images} images",
        )
        for at, day in enumerate(days)
        if day in by_day
    )
    images = sum(by_day[day].images for day in days if day in by_day)
    return Bars(bars, f"mean score of each day, {images} images", days[0], days[-1])
