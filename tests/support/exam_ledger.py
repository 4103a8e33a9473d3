"""A ledger that makes exams, with results and a clock of the test's own."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config.settings import Device
from edge.daemon.wiring.exam_maker import Maker
from edge.domain import Numbering
from edge.models.manifest import (
    DomainFit,
    Gate,
    KnownAnswer,
    ModelFile,
    OperatingPoint,
    Platt,
)
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.records import Conclusion, Membership, Submission
from edge.storage.ledger.states import Move

POINTS = {"default": OperatingPoint(threshold=0.5, band_low=0.45, band_high=0.55, chosen_on="x")}
PLAIN = ModelFile(
    quantization="float16",
    calibration=Platt(slope=1, intercept=0.5),
    operating_points=POINTS,
    gate=Gate(min_breast_fraction=0.1, max_breast_fraction=0.9, min_contrast=0.2),
    known_answers=(KnownAnswer(image="x", raw=0.5),),
    tolerance={"litert": 0.01},
    reference_histogram=(0,) * 20,
)
MODEL = PLAIN.model_copy(
    update={
        "breasts": {
            "film": DomainFit(calibration=Platt(slope=2, intercept=-1), operating_points=POINTS)
        }
    }
)
STUDY = "5" * 64
FOUR = (("L", "CC", 0.31), ("L", "MLO", 0.77), ("R", "CC", 0.13), ("R", "MLO", 0.29))
BOOT = "this boot"
DEVICE = Device(site="north", name="edge-1")
B1, B2 = "b" * 64, "c" * 64


def readdress(payload: bytes, numbering: Numbering) -> bytes:
    return json.dumps({**json.loads(payload), "seq": numbering.seq}).encode()


@dataclass
class Site:
    """A ledger that makes exams, and a clock."""

    folder: Path
    rules: ExamRules = field(default_factory=lambda: ExamRules(Maker(DEVICE)))
    told: list[str] = field(default_factory=list)
    now: float = 1000.0
    sinks: tuple[str, ...] = ("mqtt",)
    """Those of results of images."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder, self.sinks, readdress, self.rules)
        self.ledger.exams.on_news(self.told.append)

    def arrive(self, image_id: str, exam: str | None = None) -> None:
        path = self.folder / f"{image_id[:8]}-{len(list(self.folder.iterdir()))}"
        path.touch()
        submission = Submission(image_id, path, b"film", "folder", 1e9, exam=exam)
        self.ledger.submissions.accept(submission, B1)

    def conclude(  # noqa: PLR0913 - what a result may say
        self,
        image_id: str,
        said: tuple[str | None, str | None, float | None],
        exam: Membership | None,
        *,
        bundle: str = B1,
        generation: int = 0,
        file: str = "model.tflite",
    ) -> None:
        self.ledger.images.move(image_id, Move.DISPATCH)
        result_id = str(_uuid(f"{image_id} {bundle} {generation}"))
        render = _render(image_id, result_id, said, bundle, file)
        self.ledger.images.conclude(
            Conclusion(
                image_id, result_id, bundle, scored=said[2] is not None, render=render, exam=exam
            )
        )
        self.ledger.images.archived(image_id, self.folder / f"{image_id[:8]}-archived")
        (self.folder / f"{image_id[:8]}-archived").touch()

    def add(self, side: str, view: str, raw: float | None, **more: Any) -> str:  # noqa: ANN401
        """Take one view of STUDY; returns its image id."""
        image_id = hashlib.sha256(f"{side} {view} {raw} {more.get('tail')}".encode()).hexdigest()
        more.pop("tail", None)
        named = {"study": STUDY, "patient": "1" * 64, "instance": None}
        named |= {key: more.pop(key) for key in list(more) if key in named}
        self.arrive(image_id, more.pop("sent_as", None))
        model = more.pop("model", MODEL)
        member = member_of(model, **named)
        self.conclude(image_id, (side, view, raw), member, **more)
        return image_id

    @property
    def published(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.ledger.queries.results(exams=True)]

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.exams.publish_due(lambda: self.now, lambda: BOOT)

    def reopen(self) -> None:
        self.ledger.close()
        self.__post_init__()


def member_of(model: ModelFile, **named: Any) -> Membership:  # noqa: ANN401
    return Membership("model.tflite", model.model_dump_json(), **named)


def _uuid(text: str) -> str:
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def _render(
    image_id: str,
    result_id: str,
    said: tuple[str | None, str | None, float | None],
    bundle: str,
    file: str,
) -> Callable[[Numbering], bytes]:
    side, view, raw = said
    message: dict[str, Any] = {
        "image_id": image_id,
        "result_id": result_id,
        "outcome": "rejected" if raw is None else "benign",
        "score": None if raw is None else {"malignant": raw, "raw": raw},
        "decision": None if raw is None else {"operating_point": "default"},
        "domain": {"kind": "film"},
        "gate": {"passed": raw is not None, "reasons": [] if raw else ["unreadable: x"]},
        "image": {"laterality": side, "view": view},
        "model": {
            "name": "m",
            "version": "1",
            "bundle": bundle,
            "file": file,
            "sha256": "0" * 64,
            "preprocess": "1" * 64,
            "quantization": "float16",
        },
    }
    return lambda numbering: json.dumps({**message, "seq": numbering.seq}).encode()


def add_all(site: Site, views: tuple[tuple[str, str, float], ...] = FOUR) -> list[str]:
    return [site.add(*view) for view in views]


def make_old(site: Site, image_ids: list[str]) -> None:
    """Make images and their results so old that they may go, all of them delivered."""
    with site.ledger._database.transaction() as db:
        for one in image_ids:
            old = "UPDATE images SET kept = 0, archived_at = 1.0 WHERE image_id = ?"
            db.execute(old, (one,))
            db.execute(
                "UPDATE results SET completed_at = 1.0 WHERE submission IN "
                "(SELECT id FROM submissions WHERE image_id = ?)",
                (one,),
            )
        db.execute("DELETE FROM outbox")
