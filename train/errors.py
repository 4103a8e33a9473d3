"""What can go wrong in training, said in one line that a person can act on."""

from edge.errors import MammoEdgeError


class TrainError(MammoEdgeError):
    """This run cannot go on as asked: recipe, weights, run folder or result are not usable."""


class DataError(TrainError):
    """The data set is not usable; the text says what was found, where, and what was expected."""
