"""docs/guides/train.ipynb runs from end to end, and is kept without what it printed."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.tiny import Tiny
from tests.support.tools import ROOT

NOTEBOOK = ROOT / "docs" / "guides" / "train.ipynb"
SHALLOW = """
import pytest
from tests.support import shallow
from train.stats import bootstrap
shallow.install(pytest.MonkeyPatch())
bootstrap.RESAMPLES = 200
"""
"""The beginning of the recipe: in the notebook's process, too, the tests' network and resamples."""


@pytest.fixture
def notebook() -> Any:  # noqa: ANN401 - nbformat is untyped
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:  # noqa: ANN401 - nbformat is untyped
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# nbformat is untyped
def test_notebook_is_kept_without_outputs(notebook: Any) -> None:  # noqa: ANN401
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.slow
def test_notebook_looks_trains_exports_evaluates_and_classifies(
    notebook: Any,  # noqa: ANN401 - nbformat is untyped
    tiny: Tiny,
    tiny_weights: Path,
    tmp_path: Path,
) -> None:
    recipe = tmp_path / "tiny.py"
    recipe.write_text(SHALLOW + tiny.recipe.read_text())
    values = {
        "DATA": tiny.data,
        "RECIPE": recipe,
        "WEIGHTS": tiny_weights,
        "OUT": tmp_path / "run",
    }
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        **{f"MAMMO_TRAIN_{name}": str(value) for name, value in values.items()},
    }
    client = NotebookClient(
        notebook,
        timeout=600,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment)
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert len(pictures) == 6
    assert "95 % interval" in printed
    assert (tmp_path / "run" / "report.html").exists()
