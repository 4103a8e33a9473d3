"""Answers of workers: an image with a score, one without a decision, one refused."""

from typing import Final

from edge.domain import Decision, ImageFacts, Prediction, Rejection, Result, Runtime, Timing
from edge.errors import Reason

REFUSED: Final = Rejection(Reason.NOT_A_MAMMOGRAM, "to the network it does not look like one")


def scored(score: float) -> Result:
    prediction = Prediction(score, score, Decision("default", 0.5, 0.4, 0.6))
    return Result(
        ImageFacts(1, 1, 8, "MONOCHROME2", "png"),
        prediction,
        Runtime("litert", "model.tflite", 1),
        Timing(),
    )


DECIDED: Final = scored(0.1)
UNDECIDED: Final = scored(0.5)
