"""The errors of training, each said in one line that a person can act on."""

from edge.errors import MammoEdgeError


class TrainError(MammoEdgeError):
    """A run that cannot go on as asked: recipe, weights, run folder or result are not usable."""


class DataError(TrainError):
    """A data set that is not usable; the text says what was found, where, and what was expected."""
