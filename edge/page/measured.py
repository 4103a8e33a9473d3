"""The worth of a model as the page says it: on all its test images, and by their kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge.models.comparison import own_test, worth
from edge.models.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Figure:
    """An AUC, and the images that it is of."""

    of: str
    """The images, in words."""
    auc: str
    """With its interval."""
    counts: str
    """Images, patients, and where they come from."""


def figures_of(manifest: Manifest) -> list[Figure]:
    """
    Give the figure of all test images first, which is the model card's, then those by kind.

    A kind may have fewer of them than all together: what tells no kind counts nowhere else.
    """
    return list(_figures(manifest))


def _figures(manifest: Manifest) -> Iterator[Figure]:
    kinds = [found for found in worth(manifest)["measured"] if found["domain"]]
    if test := own_test(manifest):
        yield _figure("all test mammograms", test)
    for found in kinds:
        yield _figure(f"only those known to be {found['domain']}", found)


def _figure(of: str, found: Mapping[str, Any]) -> Figure:
    low, high = found["interval_95"]
    return Figure(
        of,
        f"AUC {found['auc']:.3f} (95 % interval {low:.3f} to {high:.3f})",
        f"{found['images']} images of {found['patients']} patients, from: {found['data']}",
    )
