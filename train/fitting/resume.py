"""The training that a folder holds: an interrupted one goes on only as what it was begun as."""

import json
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, Final

from train.errors import TrainError
from train.run_folder import RunFolder, read_json, write_json

_SHOWN: Final = 3


def begin(run: RunFolder, asked: Mapping[str, Any], *, keeps_files: bool = True) -> None:
    """
    Note what is trained here, or find that it is the same as before.

    Args:
        run: its folder.
        asked: everything that decides the result, as JSON has it: recipe, data, starting weights.
            Its `contents` are hashes, which a folder begun before they were noted need not have.
        keeps_files: true if this process writes; of several machines only one does.

    Raises:
        TrainError: something else was begun here; the text says what differs.
    """
    if not run.kept:
        if keeps_files:
            write_json(run.started, asked)
        return
    found, wanted = (
        dict(_leaves(values))
        for values in (read_json(run.started, "fit RECIPE --data DATA --out RUN"), _as_json(asked))
    )
    noted = any(name.startswith("contents.") for name in found)
    names = [name for name in {**found, **wanted} if noted or not name.startswith("contents.")]
    differing = [
        f"{name} {found.get(name)!r}, expected {wanted.get(name)!r}"
        for name in names
        if found.get(name) != wanted.get(name)
    ]
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        msg = (
            f"{run.root} holds another training: {'; '.join(differing[:_SHOWN])}{more}. "
            "Take another --out, or --restart to begin anew here"
        )
        raise TrainError(msg)


def forget(run: RunFolder) -> None:
    """
    Remove what `fit` wrote, and the numbers of `export` and `evaluate` about it.

    Prepared images stay, and so does the bundle.
    """
    for folder in (run.stage().root, run.stage().logs):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (
        run.started,
        run.notes,
        run.split,
        run.history,
        run.model,
        run.model_int8,
        run.exported,
        run.metrics,
    ):
        file.unlink(missing_ok=True)


def _as_json(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Give values as they read after being written: tuples become lists."""
    return json.loads(json.dumps(values))


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield every number and text with its place, such as `recipe.phases.0.epochs`."""
    if not isinstance(values, dict | list):
        yield name, values
        return
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield from _leaves(value, f"{name}.{key}" if name else str(key))
