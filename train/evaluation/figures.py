"""The figures of one side of the split: ranking, operating points, calibration, decisions."""

from typing import Any

import numpy as np

from edge.models.manifest import ModelFile, OperatingPoint
from train.evaluation import per_breast
from train.scoring import calibration
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics


def figures(judged: Judged, model: ModelFile, default: str, seed: int) -> dict[str, Any]:
    """
    Compute everything that needs no more than labels, scores and patients.

    Args:
        judged: the films, refused ones among them.
        model: operating points and coverage-risk curve of the file that judged them.
        default: name of the operating point which is served.
        seed: of the bootstrap.
    """
    labels, scores = judged.labels, judged.scores
    point = model.operating_points[default]
    weights = bootstrap.draw(labels, judged.patients, seed)
    return {
        "refused": int(judged.refused.sum()),
        "test": metrics.measure(labels, scores, judged.patients, point.threshold, seed),
        "operating_points": {
            **{
                name: at_point(judged, one, weights) for name, one in model.operating_points.items()
            },
            "one-half": {
                "chosen_on": "the usual cut",
                **metrics.at_threshold(labels, scores, metrics.ONE_HALF, weights),
            },
        },
        "default_operating_point": default,
        "reliability": metrics.reliability(labels, scores),
        "decision": decision(judged, point, seed),
        "coverage_risk": {
            "validation": [one.model_dump() for one in model.coverage_risk],
            "test": [
                one.model_dump()
                for one in calibration.coverage_risk(
                    labels, scores, point.threshold, judged.refused
                )
            ],
        },
        "breasts": per_breast.tables(judged, point.threshold, seed),
    }


def at_point(judged: Judged, point: OperatingPoint, weights: bootstrap.Weights) -> dict[str, Any]:
    """Rate all films at an operating point that was fixed on other patients, without its band."""
    called = metrics.at_threshold(judged.labels, judged.scores, point.threshold, weights)
    return {
        "chosen_on": point.chosen_on,
        "band_low": point.band_low,
        "band_high": point.band_high,
        **called,
    }


def decision(judged: Judged, point: OperatingPoint, seed: int) -> dict[str, Any]:
    """
    Count how many films are decided, and how rightly; without rates if none is.

    Refused films and those in the band are not decided.
    """
    decided = judged.decided(point)
    weights = bootstrap.draw(judged.labels, judged.patients, seed)
    everyone = np.ones(len(decided), dtype=np.bool_)
    share = bootstrap.interval(bootstrap.mean(decided.astype(np.float64), everyone, weights))
    found = {
        "images": len(decided),
        "decided": int(decided.sum()),
        "share": float(decided.mean()),
        "share_95": share,
    }
    if not decided.any():
        return found
    return {
        **found,
        **metrics.at_threshold(
            judged.labels[decided], judged.scores[decided], point.threshold, weights[:, decided]
        ),
    }
