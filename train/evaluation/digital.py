"""Digital mammograms that taught the network nothing, measured as the daemon answers them."""

from pathlib import Path
from typing import Any

import numpy as np

from edge.models.bundle import Bundle
from edge.models.manifest import ModelFile
from train.data.datasets import Sources
from train.data.digital import Digital
from train.evaluation import domains
from train.scoring.judge import judge
from train.scoring.score import score_file, shapes_of


def measure(bundle: Bundle, sources: Sources, cache: Path, seed: int) -> dict[str, Any]:
    """
    Score digital mammograms with a bundle's default file, calibration and thresholds of digital.

    Args:
        bundle: what is measured.
        sources: data sets of digital mammograms from which no weight was learnt.
        cache: the folder of prepared films.
        seed: of the bootstrap.

    Returns:
        `data`, in words; `images`, `malignant`, `patients`, `refused`, `decided`, all scores as
        `metrics.measure` gives them, and `normal`, as `domains.normal` gives it.

    Raises:
        DataError: a data set cannot be read.
    """
    manifest = bundle.manifest
    model = _answering_digital(manifest.models[manifest.default_model])
    digital = Digital.read(sources, manifest.input, cache)
    scored = score_file(
        bundle.folder / manifest.default_model, shapes_of(manifest), digital.films, manifest.input
    )
    judged = judge(digital.every, scored, model, bundle.folder)
    point = model.operating_points[manifest.default_operating_point]
    everyone = np.ones(len(judged.films), np.bool_)
    return {
        "data": digital.data,
        **domains.numbers(judged, everyone, point, seed),
        "normal": domains.normal(judged, point, seed),
    }


def _answering_digital(model: ModelFile) -> ModelFile:
    """Put digital's own calibration and operating points, if it has any, in the place of all."""
    own = model.by_domain.get("digital")
    if own is None:
        return model
    update = {"calibration": own.calibration, "operating_points": own.operating_points}
    return model.model_copy(update=update)
