"""Digital mammograms of which no weight was learnt: for gate, calibration and measurement."""

from dataclasses import dataclass
from pathlib import Path

from edge.domain import InputSpec
from train.data import datasets
from train.data.datasets import Sources
from train.data.films import Prepared
from train.data.index import Film
from train.data.prepare import prepared


@dataclass(frozen=True, slots=True)
class Digital:
    """The mammograms of one or several data sets, prepared for a model."""

    films: Prepared
    """Those that preparation took."""
    every: tuple[Film, ...]
    """Those that it refused among them."""
    data: str
    """The data sets, in words."""

    @classmethod
    def read(cls, sources: Sources, spec: InputSpec, cache: Path) -> "Digital":
        """Prepare data sets, whatever they say of their domain; raises as `datasets.load`."""
        index = datasets.load(sources)
        names = ", ".join(source.stem for source in datasets.paths_of(sources))
        return cls(prepared(index, spec, cache), index.films, names)
