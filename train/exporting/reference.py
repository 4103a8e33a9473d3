"""The network that every exported file is made from and compared with."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.engine import Shapes
from train.data.digital import Digital
from train.data.domains import domains_of
from train.data.films import Prepared
from train.data.index import Film, Side
from train.exporting import known_answers, parity, tflite
from train.exporting.parity import Answers
from train.fitting.finished_run import FinishedRun
from train.fitting.loop import probabilities
from train.scoring import calibration
from train.stats.metrics import Floats

CHECKED: Final[tuple[Side, Side]] = ("validation", "test")
"""The sides on which a file is compared with the network."""
FITTED_ON: Final = "validation patients"
"""The patients on whose films calibration and operating points are fitted, in words."""


class Reference:
    """A finished run with the answers of its network, each computed once."""

    def __init__(
        self,
        run: FinishedRun,
        negatives: Prepared | None,
        tflite_runtime: Path | None,
        digital: Digital | None = None,
    ) -> None:
        self.run = run
        self.negatives = negatives
        self.tflite_runtime = tflite_runtime
        self.digital = digital
        self._domain: dict[str, str] = {}
        self.shapes: Shapes = tflite.shapes(run.model, run.recipe.input)

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """The pictures of the known answers, by their names in the bundle."""
        training = self.run.side("train")
        scores = probabilities(self.run.model, training, self.run.recipe)
        return known_answers.pictures(known_answers.choose(training.films, scores))

    @cached_property
    def domains(self) -> NDArray[np.str_]:
        """The domain of each test film, shape (n,)."""
        return self.domains_of(self.run.side("test").films)

    def domains_of(self, films: Sequence[Film]) -> NDArray[np.str_]:
        """Tell the domain of each film, shape (n,); a film is decoded for that at most once."""
        new = [film for film in films if film.name not in self._domain]
        names = (film.name for film in new)
        self._domain.update(zip(names, domains_of(new).tolist(), strict=True))
        return np.array([self._domain[film.name] for film in films], np.str_)

    @cached_property
    def answers(self) -> dict[Side, Answers]:
        """The network's answers, calibrated on the validation patients as a file's answers are."""
        run = self.run
        return self.calibrated(
            {side: probabilities(run.model, run.side(side), run.recipe) for side in CHECKED}
        )

    @cached_property
    def threshold(self) -> float:
        """The threshold of the network's own default operating point."""
        labels, scores = self.run.side("validation").labels, self.answers["validation"].scores
        return calibration.operating_point(
            labels, scores, self.run.recipe.sensitivity, 0, FITTED_ON
        ).threshold

    def calibrated(self, raw: Mapping[Side, Floats]) -> dict[Side, Answers]:
        """Calibrate raw scores of both checked sides, shape (n,), on those of validation films."""
        platt = calibration.platt(self.run.side("validation").labels, raw["validation"])
        return {side: parity.answers(values, platt) for side, values in raw.items()}
