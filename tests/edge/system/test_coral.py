"""
A Coral accelerator: what is plugged in, who has it, and one bundle on a library that stands in for
libedgetpu.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cli import main
from edge.contract.render import Occasion, Sender, render
from edge.domain import Result, Runtime
from edge.errors import AcceleratorError, ModelError
from edge.inference.engine import Shapes
from edge.inference.engine.edgetpu import EdgeTpuEngine
from edge.inference.examiner import open_examiner
from edge.inference.image import Limits
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.system import coral
from edge.system.coral import Device
from tests.support.coral import (
    COMPILED,
    INPUT,
    MODEL,
    StandIn,
    bundle,
    folder,
    image,
    library,
    make_bundle,
    opened,
    stand_in,
    tflite,
)
from tests.support.trees import tree

__all__ = ["bundle", "folder", "library", "stand_in"]  # fixtures

SHAPES = Shapes(INPUT, (1, 1))


# What is plugged in, and who has it.


@pytest.mark.parametrize("ids", sorted(coral.USB))
def test_a_usb_accelerator_is_known_by_either_id_with_its_node_and_speed(
    tmp_path: Path, ids: tuple[str, str]
) -> None:
    names = dict(
        zip(
            ("idVendor", "idProduct", "busnum", "devnum", "speed"),
            (*ids, "2", "7", "480"),
            strict=True,
        )
    )
    root = tree(
        tmp_path, {f"sys/bus/usb/devices/2-1/{name}": f"{text}\n" for name, text in names.items()}
    )
    (found,) = coral.devices(root)
    assert found == Device("USB", root / "dev/bus/usb/002/007", 480)
    assert not found.usable
    tree(root, {"dev/bus/usb/002/007": ""})
    assert found.usable


def test_a_card_is_known_by_its_node_and_without_a_driver_by_the_bus(tmp_path: Path) -> None:
    card = {
        "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n",
        "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n",
    }
    root = tree(tmp_path, card)
    assert coral.devices(root) == [Device("PCIe", None)]
    tree(root, {"dev/apex_0": "", "dev/apex_1": ""})
    assert coral.devices(root) == [
        Device("PCIe", root / "dev/apex_0"),
        Device("PCIe", root / "dev/apex_1"),
    ]
    assert coral.devices(tmp_path / "none") == []


HOLD = """
import sys
from pathlib import Path
from edge.system import coral
from edge.models.active import shipped_bundle
held = coral.claim(Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def test_one_process_has_it_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "coral.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert coral.busy(lock)
        with pytest.raises(AcceleratorError, match="another process has it"):
            coral.claim(lock)
        other.kill()
    assert not coral.busy(lock)
    held = coral.claim(lock)
    assert held is not None
    assert coral.busy(lock)
    held.close()
    assert not coral.busy(lock)


def test_whoever_comes_first_locks_nobody_out_for_good(tmp_path: Path) -> None:
    held = coral.claim(tmp_path / "coral.lock")
    assert held is not None
    held.close()
    assert (tmp_path / "coral.lock").stat().st_mode & 0o777 == 0o644
    assert coral.claim(tmp_path / "no daemon" / "coral.lock") is None
    with pytest.raises(AcceleratorError, match="its lock: Not a directory"):
        coral.claim(tmp_path / "coral.lock" / "coral.lock")


# One engine.


def test_without_the_library_it_is_said_what_installs_it(stand_in: StandIn, folder: Path) -> None:
    access = replace(stand_in.access, library="libedgetpu-that-is-nowhere.so.1")
    with pytest.raises(
        AcceleratorError,
        match=(
            r"no libedgetpu: install libedgetpu1-std "
            r"\(libedgetpu-that-is-nowhere.so.1: cannot open"
        ),
    ):
        EdgeTpuEngine(folder / COMPILED, SHAPES, 1, access)


def test_a_library_that_is_no_delegate_is_told_by_what_it_lacks(
    stand_in: StandIn, folder: Path
) -> None:
    with pytest.raises(
        AcceleratorError,
        match=r"libc.so.6 is no TensorFlow Lite delegate: it has no tflite_plugin_create_delegate",
    ):
        EdgeTpuEngine(folder / COMPILED, SHAPES, 1, replace(stand_in.access, library="libc.so.6"))


def test_a_model_that_was_not_compiled_is_refused_as_the_processor_would_run_it(
    stand_in: StandIn, folder: Path
) -> None:
    with pytest.raises(
        AcceleratorError, match=r"model_int8\.tflite was not compiled by edgetpu_compiler"
    ):
        EdgeTpuEngine(folder / MODEL, SHAPES, 1, stand_in.access)


def test_which_device_is_handed_on_and_the_library_s_reason_comes_back(
    stand_in: StandIn, folder: Path
) -> None:
    EdgeTpuEngine(folder / COMPILED, SHAPES, 1, stand_in.access).close()
    with pytest.raises(AcceleratorError, match=r"none found, .* \(this one is on USB\)"):
        EdgeTpuEngine(folder / COMPILED, SHAPES, 1, replace(stand_in.access, device="pci"))


def test_a_compiled_model_without_the_delegate_runs_nowhere(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / "bundle.json").read_text())
    renamed = bundle.manifest.model_validate(
        manifest | {"models": {COMPILED: manifest["models"][MODEL]}, "default_model": COMPILED}
    )
    with pytest.raises(ModelError, match="unresolved custom op: edgetpu-custom-op"):
        open_examiner(replace(bundle, manifest=renamed), "auto", 1, None, Limits())


# A bundle, proved.


def test_it_scores_as_the_processor_does_and_says_by_which_file(
    stand_in: StandIn, bundle: Bundle, tmp_path: Path
) -> None:
    path = image(tmp_path)
    with opened(bundle, stand_in.access) as fast, opened(bundle, None) as slow:
        assert fast.runtime == Runtime("edgetpu", COMPILED, 1)
        outcomes = [one.examine(path) for one in (fast, slow)]
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    first, second = (outcome.prediction.raw for outcome in outcomes if isinstance(outcome, Result))
    assert first == pytest.approx(second, abs=1e-5)
    message = render(outcomes[0], Occasion("0" * 64, 0, 0.0, 0.0, 0.0, 0.0), bundle, Sender())
    assert (message["model"]["file"], message["model"]["quantization"]) == (COMPILED, "int8")
    assert message["model"]["sha256"] == bundle.manifest.files[COMPILED]
    assert message["runtime"] == {"backend": "edgetpu", "fallback": False, "threads": 1}


@pytest.mark.parametrize(
    ("orders", "why"),
    [
        ("none", "none found, none that this process may open, or another program has it"),
        ("refuse", "edgetpu cannot run the model: Failed to prepare a custom op."),
        ("fail", "it failed while it computed: Internal: the device is in an error state"),
        ("wrong", "known answer known/1.png: raw is 0.8"),
        ("nan", "it failed while it computed: the model's output is nan"),
    ],
)
def test_where_it_does_not_prove_itself_the_processor_works_and_says_why_and_nobody_is_kept_out(
    stand_in: StandIn, bundle: Bundle, tmp_path: Path, orders: str, why: str
) -> None:
    stand_in.does(orders)
    with opened(bundle, stand_in.access) as loaded:
        assert (loaded.runtime.file, loaded.runtime.fallback) == (MODEL, True)
        assert (loaded.runtime.without or "").startswith(why)
        assert isinstance(loaded.examine(image(tmp_path)), Result)
        assert not coral.busy(stand_in.lock)


@pytest.mark.parametrize(
    ("tolerance", "trusted"), [({}, True), ({"edgetpu": 0.02}, True), ({"edgetpu": 0.005}, False)]
)
def test_how_far_it_may_be_off_stands_in_the_manifest_or_is_two_hundredths(
    stand_in: StandIn, tmp_path: Path, tolerance: dict[str, float], *, trusted: bool
) -> None:
    stand_in.does("a bit off")  # by a hundredth
    made = make_bundle(
        tmp_path / "bundle", tolerance={"litert": 1e-4, "tflite-runtime": 1e-4} | tolerance
    )
    with opened(verify(made), stand_in.access) as loaded:
        assert (loaded.runtime.backend == "edgetpu", loaded.runtime.fallback) == (
            trusted,
            not trusted,
        )


def test_a_file_that_cannot_have_been_compiled_is_refused_in_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"model_int8.tflite is float16, an Edge TPU runs int8 alone"
    ):
        verify(make_bundle(tmp_path / "float", quantization="float16"))
    with pytest.raises(ModelError, match=r"files has no sha256 of \['other_edgetpu.tflite'\]"):
        verify(make_bundle(tmp_path / "missing", edgetpu="other_edgetpu.tflite"))


def test_a_compiled_model_is_put_beside_the_int8_one_and_what_is_none_is_refused(
    stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, compiled = (
        make_bundle(tmp_path / "plain", edgetpu=None),
        tmp_path / "made_edgetpu.tflite",
    )
    compiled.write_bytes(tflite(compiled=True))
    floats = make_bundle(tmp_path / "floats", edgetpu=None, quantization="float16")
    command = ["model", "edgetpu", str(plain)]
    assert main.main([*command, str(compiled), str(tmp_path / "new"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["edgetpu"] == COMPILED
    with opened(verify(tmp_path / "new"), stand_in.access) as loaded:
        assert loaded.runtime == Runtime("edgetpu", COMPILED, 1)
    wrong = (
        ([*command, str(compiled), str(tmp_path / "new")], "exists; name a new folder"),
        (
            [*command, str(plain / MODEL), str(tmp_path / "other")],
            "found no edgetpu-custom-op in it",
        ),
        ([*command, str(tmp_path / "none"), str(tmp_path / "other")], "No such file"),
        (
            ["model", "edgetpu", str(floats), str(compiled), str(tmp_path / "other")],
            "(float16), expected one int8 model",
        ),
    )
    for words, said in wrong:
        assert main.main(words) == 78
        assert said in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_shipped_bundle_takes_a_compiled_model_beside_its_int8_one(tmp_path: Path) -> None:
    compiled = tmp_path / "made_edgetpu.tflite"
    compiled.write_bytes(tflite(compiled=True))
    command = ["model", "edgetpu", str(shipped_bundle()), str(compiled), str(tmp_path / "new")]
    assert main.main(command) == 0
    models = verify(tmp_path / "new").manifest.models
    assert {name: model.edgetpu for name, model in models.items() if model.edgetpu} == {
        "model_int8.tflite": "model_int8_edgetpu.tflite"
    }
