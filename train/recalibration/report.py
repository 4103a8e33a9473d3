"""The page of `mammo-train calibrate`: what changed, and its worth on unseen patients."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final

from edge.domain import Domain
from edge.models.manifest import DomainFit, Manifest, ModelFile
from train import wording

TEMPLATES: Final = files("train.recalibration") / "templates"
"""The folder of the texts that numbers are filled into."""
HEAD: Final = (TEMPLATES / "head.md").read_text("utf-8")
SHARES: Final = (("the site's mammograms refused", "refused"), ("other pictures caught", "caught"))
FILE: Final = (TEMPLATES / "file.md").read_text("utf-8")
PAIRS: Final = (TEMPLATES / "pairs.md").read_text("utf-8")


def page(numbers: Mapping[str, Any], old: Manifest, new: Manifest) -> str:
    """Write the whole page as Markdown."""
    to = numbers["prevalence"]
    prevalence = (
        ""
        if to is None
        else (
            "All probabilities and thresholds of the new bundle are "
            f"shifted to {to:.2%} malignant images."
        )
    )
    head = HEAD.format(
        name=new.name,
        notice=wording.NOTICE,
        gate=", and the input gate," if numbers["files"] else "",
        **{**numbers, "prevalence": prevalence},
    )
    files = [
        _file(name, found, old.models[name], new.models[name])
        for name, found in numbers["files"].items()
    ]
    pairs = [
        _pairs(name, domain, found, old.models[name], new.models[name])
        for name, by_domain in numbers["pairs"].items()
        for domain, found in by_domain.items()
    ]
    return "".join([head, *files, *pairs])


def _pairs(
    name: str, domain: Domain, found: Mapping[str, Any], old: ModelFile, new: ModelFile
) -> str:
    fit = new.fit_of(domain)
    return PAIRS.format(
        file=name,
        domain=domain,
        **found["data"],
        basis=", ".join(f"{number} {basis}" for basis, number in found["basis"].items()),
        score_seen=found["score_seen"],
        scores=_scores(found),
        points=_points(found),
        reliability=_reliability(found),
        slope=fit.calibration.slope,
        intercept=fit.calibration.intercept,
        share=fit.calibration.prevalence or 0,
        thresholds=_thresholds(old.fit_of(domain), fit),
    )


def _file(name: str, found: Mapping[str, Any], old: ModelFile, new: ModelFile) -> str:
    return FILE.format(
        file=name,
        **found["data"],
        scores=_scores(found),
        points=_points(found),
        reliability=_reliability(found),
        slope=new.calibration.slope,
        intercept=new.calibration.intercept,
        share=new.calibration.prevalence or 0,
        thresholds=_thresholds(old, new),
        coverage=_coverage(new),
        gate=_gate(found, old, new),
    )


def _scores(found: Mapping[str, Any]) -> str:
    names = {
        "auc": "AUC",
        "ece": "expected calibration error",
        "brier": "Brier score",
        "log_loss": "log loss",
        "mean_score": "mean probability",
        "decided": "share decided, default",
    }
    rows = (
        (text, f"{found['before'][name]:.3f}", f"{found['after'][name]:.3f}")
        for name, text in names.items()
    )
    return _table(("", "before", "after"), rows)


def _points(found: Mapping[str, Any]) -> str:
    rows = (
        (name, when, *(f"{rates[rate]:.3f}" for rate in ("sensitivity", "specificity", "accuracy")))
        for when in ("before", "after")
        for name, rates in found[when]["points"].items()
    )
    return _table(("operating point", "", "sensitivity", "specificity", "accuracy"), rows)


def _reliability(found: Mapping[str, Any]) -> str:
    rows = (
        (
            when,
            str(int(bin_["images"])),
            f"{bin_['mean_score']:.3f}",
            f"{bin_['malignant_share']:.3f}",
        )
        for when in ("before", "after")
        for bin_ in found[when]["reliability"]
    )
    return _table(("", "images", "mean probability", "malignant"), rows)


def _thresholds(old: ModelFile | DomainFit, new: ModelFile | DomainFit) -> str:
    rows = (
        (name, when, f"{point.threshold:.4f}", f"{point.band_low:.4f} to {point.band_high:.4f}")
        for when, model in (("before", old), ("after", new))
        for name, point in model.operating_points.items()
    )
    return _table(("operating point", "", "malignant from", "indeterminate"), rows)


def _coverage(new: ModelFile) -> str:
    rows = (
        tuple(
            f"{value:.3f}"
            for value in (point.coverage, point.risk, point.sensitivity, point.specificity)
        )
        for point in new.coverage_risk
    )
    return _table(("decided", "wrong", "sensitivity", "specificity"), rows)


def _gate(found: Mapping[str, Any], old: ModelFile, new: ModelFile) -> str:
    limits = [
        (name, f"{before:.4f}", f"{getattr(new.gate, name):.4f}")
        for name, before in old.gate.model_dump().items()
        if isinstance(before, float)
    ]
    bounds = old.gate.features, new.gate.features
    boundary = (
        [("bias of the boundary", *(f"{bound.bias:.4f}" for bound in bounds if bound))]
        if all(bounds)
        else []
    )
    shares = [
        (f"{what} by it", *(_percent(found[of][when]) for when in ("before", "after")))
        for what, of in SHARES
    ]
    return _table(("", "before", "after"), [*limits, *boundary, *shares])


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{share:.2%}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows))
