"""The colours that carry meaning in a picture: blue, green, red, as OpenCV has them."""

from typing import Final

from edge.inference.explain.canvas import Colour

FAINT: Final[Colour] = (168, 164, 160)
YELLOW: Final[Colour] = (77, 225, 255)
FOR: Final[Colour] = (60, 60, 245)
"""Red, for evidence of malignancy."""
AGAINST: Final[Colour] = (245, 150, 40)
"""Blue, for evidence against malignancy."""
LABELS: Final[dict[str, Colour]] = {
    "malignant": FOR,
    "benign": AGAINST,
    "indeterminate": YELLOW,
    "rejected": FAINT,
}
