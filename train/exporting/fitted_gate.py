"""The input gate of an exported file, fitted on the file's own features."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.models.manifest import FeatureGate, Gate
from train.data.films import Prepared
from train.exporting import known_answers
from train.exporting.reference import Reference
from train.fitting.rendering import render
from train.scoring import gate
from train.scoring.gate import Boundary, Refused
from train.scoring.negatives import without_films
from train.scoring.score import Scored, score_file

RENDERED: Final = 3
"""Renderings of each film that stand beside the mammograms."""


@dataclass(frozen=True, slots=True)
class FittedGate:
    """The limits of the gate and, if there were pictures to fit one on, its boundary."""

    limits: Gate
    boundary: Boundary | None
    on_unseen: Mapping[str, Any]
    """Shares of pictures and films refused by a gate not fitted on them; empty if no boundary."""
    training_refused: float
    """Share of the training films that the gate refuses."""

    def refused(self, scored: Scored) -> Refused:
        """Tell which films the gate refuses, shape (n,)."""
        return gate.refused(scored.films, scored.features, self.limits, self.boundary)

    def in_bundle(self, file: str) -> tuple[Gate, dict[str, bytes]]:
        """
        Give the gate as the manifest has it, and the files that go with it.

        Args:
            file: name of the model file, after which that of the weights is called.
        """
        if self.boundary is None:
            return self.limits, {}
        name = f"gate/{Path(file).stem}.npy"
        features = FeatureGate(weights=name, bias=self.boundary.bias)
        limits = self.limits.model_copy(update={"features": features})
        return limits, {name: _npy(self.boundary.weights)}


def fit(reference: Reference, path: Path, digital: Scored | None = None) -> FittedGate:
    """
    Fit limits on the training films, and a boundary if there are features and negatives.

    The pictures of the known answers always pass: every daemon proves its model on them.

    Args:
        reference: the run, and the pictures that are no mammograms.
        path: the exported file, which gives the features.
        digital: digital mammograms, scored by it; None if there are none.
    """
    training = reference.run.side("train")
    limits = gate.fit_gate(training)
    pictures = known_answers.prepared(reference.pictures, reference.run.recipe.input)
    if reference.negatives is None or reference.shapes.features is None:
        opened, _ = gate.let_through(limits, None, pictures, None)
        return FittedGate(opened, None, {}, gate.refused_share(training, opened))
    spec = reference.run.recipe.input
    mammograms, changed, rendered, negatives, seen = (
        score_file(path, reference.shapes, films, spec)
        for films in (
            training,
            gate.changed_copies(training),
            _renderings(training),
            reference.negatives,
            pictures,
        )
    )
    limits = gate.loosened(limits)
    copies = [gate.features_of(changed), gate.features_of(rendered)]
    if digital is not None:
        copies.append(gate.features_of(digital))
    boundary = gate.fit_boundary(
        [gate.features_of(mammograms), *copies], gate.features_of(negatives)
    )
    share = float(gate.refused(training, mammograms.features, limits, boundary).mean())
    on_unseen = gate.on_unseen_halves(mammograms, copies[:2], negatives, digital)
    on_unseen = {**on_unseen, "training_refused": share}
    opened, moved = gate.let_through(limits, boundary, pictures, gate.features_of(seen))
    return FittedGate(opened, moved, on_unseen, share)


def _renderings(films: Prepared) -> Prepared:
    """Render some films as other machines would, RENDERED times each."""
    which = gate.copied(len(films.images))
    generator = np.random.default_rng(0)
    pictures = [
        render(np.rint(films.images[number].astype(np.float32) * 255).astype(np.uint8), generator)
        for number in which
        for _ in range(RENDERED)
    ]
    return without_films(
        np.stack(pictures).astype(np.float32) / 255,
        films.breast_fraction[which].repeat(RENDERED),
        films.contrast[which].repeat(RENDERED),
    )


def _npy(array: NDArray[np.float32]) -> bytes:
    """Write an array as the bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
