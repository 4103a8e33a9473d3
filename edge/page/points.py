"""The operating points of a model file, and the one that the daemon decides with."""

from dataclasses import dataclass

from edge.models.manifest import Manifest, ModelFile, OperatingPoint
from edge.storage.ledger.worklist import Scored


@dataclass(frozen=True, slots=True)
class Point:
    """An operating point of images of one kind."""

    kind: str
    name: str
    point: OperatingPoint
    used: bool
    """True if the last score was decided with it."""


def file_of(manifest: Manifest, last: Scored | None) -> str:
    """Name the model file that gave a score, or that was compiled; the default file if none did."""
    digest = None if last is None else last.model
    files = manifest.files
    for name, facts in manifest.models.items():
        if digest in {files[name], files.get(facts.edgetpu or "")}:
            return name
    return manifest.default_model


def points_of(facts: ModelFile, last: Scored | None, chosen: str) -> list[Point]:
    """
    List the operating points of a file, those of kinds with their own thresholds last.

    Args:
        facts: of the file.
        last: the last score, if this bundle gave it.
        chosen: the configured point, which is the one of two with the same threshold.
    """
    kinds = {"": facts.operating_points}
    kinds |= {kind: fit.operating_points for kind, fit in facts.by_domain.items()}
    decided = None if last is None else last.threshold
    used = "" if last is None or last.domain not in facts.by_domain else last.domain
    found = []
    for kind, points in kinds.items():
        same = [name for name, one in points.items() if kind == used and one.threshold == decided]
        by = chosen if chosen in same else next(iter(same), "")
        found += [Point(kind, name, one, name == by) for name, one in points.items()]
    return found
