"""
The way from bytes to an Outcome, in the worker: decode, gate, prepare, infer, calibrate.

No sockets, no settings.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from edge.domain import Implants, Outcome, Rejection, Result, Runtime
from edge.errors import AcceleratorError, ImageRejected, ModelError, Reason
from edge.inference.clock import Clock
from edge.inference.engine import Engine, Shapes, open_engine
from edge.inference.engine.edgetpu import NAME, EdgeTpuEngine
from edge.inference.gate import InputGate
from edge.inference.image import Limits, Mammogram, open_mammogram
from edge.inference.image.mammogram import ObjectRejected
from edge.inference.judgement import Judge
from edge.inference.preprocess import prepare
from edge.inference.trace import Trace
from edge.models.bundle import Bundle, verify
from edge.models.manifest import EDGETPU_TOLERANCE
from edge.system.coral import Access


class Examiner:
    """
    A loaded bundle.

    Args:
        bundle: a verified bundle.
        backend: `auto`, `litert` or `tflite-runtime`.
        threads: the number for one inference.
        operating_point: a name from the manifest; None for its default.
        limits: the limits of the files to decode.
        file: a model file of the bundle; None for its default.
        access: the accelerator for the file that was compiled from `file`; None for none.
        decide_unmeasured: give labels also where the bundle was not measured.

    Raises:
        ModelError: the model cannot be loaded or is not as the manifest says.
        AcceleratorError: the accelerator cannot be used.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a bundle is run with
        self,
        bundle: Bundle,
        backend: str,
        threads: int,
        operating_point: str | None,
        limits: Limits,
        file: str | None = None,
        access: Access | None = None,
        *,
        decide_unmeasured: bool = False,
    ) -> None:
        manifest = bundle.manifest
        file = file or manifest.default_model
        self.bundle = bundle
        self._limits = limits
        self._spec = manifest.input
        self._model = manifest.models[file]
        self._judge = Judge(bundle, file, operating_point, decide_unmeasured=decide_unmeasured)
        shape = (1, self._spec.height, self._spec.width, self._spec.channels)
        outputs = manifest.outputs
        shapes = Shapes(
            shape,
            outputs.probability,
            outputs.logit_map,
            outputs.features,
            outputs.pooling,
            self._spec.low,
        )
        if access is None:
            self.engine: Engine = open_engine(backend, bundle.folder / file, shapes, threads)
            self.runtime = Runtime(
                self.engine.backend,
                file,
                threads,
                fallback=backend == "auto" and self.engine.backend != "litert",
            )
        else:
            self.engine, compiled = _accelerated(bundle, file, shapes, threads, access)
            self.runtime = Runtime(NAME, compiled, threads)
        self._gate = InputGate(self._model.gate, bundle.folder, outputs.features)

    def prove(self) -> None:
        """
        Give the known answers, through the whole path from bytes to score.

        Raises:
            ModelError: one of them is off by more than this runtime's tolerance.
        """
        tolerance = self._model.tolerance.get(
            self.runtime.backend, EDGETPU_TOLERANCE if self.runtime.backend == NAME else None
        )
        if tolerance is None:
            msg = (
                f"the bundle names no tolerance for {self.runtime.backend}, only "
                f"for {', '.join(sorted(self._model.tolerance))}"
            )
            raise ModelError(msg)
        for answer in self._model.known_answers:
            outcome = self.examine(self.bundle.folder / answer.image)
            if isinstance(outcome, Rejection):
                msg = f"known answer {answer.image}: {outcome.text}, expected raw {answer.raw}"
                raise ModelError(msg)
            if abs(outcome.prediction.raw - answer.raw) > tolerance:
                msg = (
                    f"known answer {answer.image}: raw is {outcome.prediction.raw:.6f}, "
                    f"expected {answer.raw:.6f} within {tolerance}"
                )
                raise ModelError(msg)

    def examine(self, path: Path) -> Outcome:
        """
        Examine one file. Bad bytes are an answer, not an error.

        Raises:
            UnreadableError: the file is missing or cannot be read.
            InferenceError: the model gave no usable number.
        """
        return self.look(path).outcome

    def look(self, path: Path) -> Trace:
        """Examine one file, and keep the picture and the model's input; raises as `examine`."""
        clock, image, batch = Clock(), None, None
        try:
            with clock.measure("decode"):
                image = open_mammogram(path, self._limits)
            with clock.measure("prepare"):
                batch = prepare(image, self._spec)
            image = replace(image, facts=replace(image.facts, turned=batch.turned))
            self._gate.look_at(batch)
            with clock.measure("infer"):
                scores = self.engine.infer(batch.tensor)
            if not image.mammography:
                self._gate.look_at_features(scores.features)
        except ImageRejected as rejected:
            rejection = self._rejection(rejected.reason, rejected.detail, image, clock)
            if isinstance(rejected, ObjectRejected):
                rejection = replace(rejection, identity=rejected.identity)
            return Trace(rejection, image, batch)
        except MemoryError:
            detail = "the image needs more memory than a worker may use"
            return Trace(self._rejection(Reason.TOO_LARGE, detail, image, clock))
        prediction = self._judge.predict(image, batch, scores)
        known = image.identity, image.provenance
        result = Result(image.facts, prediction, self.runtime, clock.timing, *known)
        domain = prediction.origin.domain if prediction.origin else "unknown"
        return Trace(result, image, batch, self._judge.calibration(domain))

    def _rejection(
        self, reason: Reason, detail: str, image: Mammogram | None, clock: Clock
    ) -> Rejection:
        facts, identity = (image.facts, image.identity) if image else (None, None)
        return Rejection(reason, detail, facts, self.runtime, clock.timing, identity)


def _accelerated(
    bundle: Bundle, file: str, shapes: Shapes, threads: int, access: Access
) -> tuple[EdgeTpuEngine, str]:
    compiled = bundle.manifest.models[file].edgetpu
    if compiled is None:
        msg = f"the bundle has no file for it that was compiled from {file}"
        raise AcceleratorError(msg)
    return EdgeTpuEngine(bundle.folder / compiled, shapes, threads, access), compiled


def open_examiner(  # noqa: PLR0913, PLR0917 - those of Examiner
    bundle: Bundle,
    backend: str,
    threads: int,
    operating_point: str | None,
    limits: Limits,
    access: Access | None = None,
    without: str | None = None,
    *,
    decide_unmeasured: bool = False,
) -> Examiner:
    """
    Load a bundle and prove it.

    If an accelerator is wanted, the processor gives the known answers first, with the int8 file
    that the compiled file comes from; then the accelerator must give the same. If the accelerator
    fails or is missing, the processor stays, and `runtime.without` says why.

    Args:
        bundle: a verified bundle.
        backend: `auto`, `litert` or `tflite-runtime`.
        threads: the number for one inference.
        operating_point: a name from the manifest; None for its default.
        limits: the limits of the files to decode.
        access: the accelerator; None if none is wanted or it shall not be tried.
        without: the reason not to try an accelerator that is wanted.
        decide_unmeasured: give labels also where the bundle was not measured.

    Raises:
        ModelError: the bundle is not usable on the processor.
    """
    load = partial(
        Examiner,
        bundle,
        backend,
        threads,
        operating_point,
        limits,
        decide_unmeasured=decide_unmeasured,
    )
    if access is None and without is None:
        return _proved(load())
    file = bundle.manifest.compiled
    slow = _proved(load(file))
    if access is not None:
        try:
            return _proved(load(file, access))
        except (AcceleratorError, ModelError) as error:
            without = str(error)
    slow.runtime = replace(slow.runtime, fallback=True, without=without)
    return slow


def _proved(examiner: Examiner) -> Examiner:
    try:
        examiner.prove()
    except (AcceleratorError, ModelError):
        if isinstance(examiner.engine, EdgeTpuEngine):
            examiner.engine.close()
        raise
    return examiner


_examiner: Examiner | None = None


def start(  # noqa: PLR0913, PLR0917 - crosses a process border as plain values
    folder: str,
    backend: str,
    threads: int,
    operating_point: str | None,
    max_bytes: int,
    max_pixels: int,
    implants: Implants = "flag",
    decide_unmeasured: bool = False,  # noqa: FBT001, FBT002 - as the others
    access: Access | None = None,
    without: str | None = None,
) -> Runtime:
    """
    Load a bundle in this worker and prove it, as `open_examiner` does.

    A pool calls it by its dotted path.

    Raises:
        ModelError: the bundle is not usable.
    """
    global _examiner  # noqa: PLW0603 - one worker, one model
    limits = Limits(max_bytes, max_pixels, implants)
    _examiner = open_examiner(
        verify(Path(folder)),
        backend,
        threads,
        operating_point,
        limits,
        access,
        without,
        decide_unmeasured=decide_unmeasured,
    )
    return _examiner.runtime


def run(path: str) -> Outcome:
    """
    Examine one file with the bundle that `start` loaded. A pool calls it by its dotted path.

    Raises:
        ModelError: `start` was not called.
        AcceleratorError: the accelerator was lost; nothing is wrong with the image.
        UnreadableError: the file is missing or cannot be read.
    """
    return examiner().examine(Path(path))


def examiner() -> Examiner:
    """
    Return the bundle that `start` loaded in this worker.

    Raises:
        ModelError: `start` was not called.
    """
    if _examiner is None:
        msg = "no bundle was loaded in this worker"
        raise ModelError(msg)
    return _examiner
