"""Colours of the page can be told apart by eyes that see less: WCAG 2.2, level AA."""

import re
from typing import Final

import pytest

from tests.support.tools import ROOT

SHEET: Final = (ROOT / "edge/page/static/page.css").read_text()
TEXT: Final = 4.5
"""The least ratio for text."""
GRAPHICS: Final = 3.0
"""The least ratio for what is drawn."""
PAIRS: Final = [
    *((name, "panel", TEXT) for name in ("text", "quiet", "link", "ready", "alert")),
    *((name, "ground", TEXT) for name in ("text", "quiet", "link")),
    *((name, "track", TEXT) for name in ("text", "quiet")),
    ("on-accent", "accent", TEXT),
    ("indeterminate", "panel", TEXT),
    *((name, f"{name}-ground", TEXT) for name in ("benign", "malignant", "rejected")),
    ("indeterminate", "indeterminate-ground", TEXT),
    *((name, "panel", GRAPHICS) for name in ("bar", "rare", "mark", "accent")),
    ("accent", "ground", GRAPHICS),
    ("peak", "film", TEXT),
]


def colours(dark: bool) -> dict[str, str]:  # noqa: FBT001
    light, _, rest = SHEET.partition("@media (prefers-color-scheme: dark)")
    text = rest if dark else light
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
    assert len(found) > 20
    return found


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: str, other: str) -> float:
    bright, dull = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dull + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_what_is_to_be_seen_can_be_seen(
    front: str,
    back: str,
    least: float,
    dark: bool,  # noqa: FBT001
) -> None:
    found = colours(dark)
    assert ratio(found[front], found[back]) >= least


def test_both_schemes_have_the_same_colours_and_no_rule_has_one_of_its_own() -> None:
    assert colours(dark=False).keys() == colours(dark=True).keys()
    rules = SHEET.partition("* { box-sizing")[2]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", rules) == []
