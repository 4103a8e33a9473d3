"""Two bundles side by side, and the refusal of one that is no better than chance."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.errors import ConfigError
from edge.models.manifest import CHANCE, Manifest

TEST: Final = "test patients of its training's data"
"""The data of a bundle that does not say on which domains it was measured."""


def worth(manifest: Manifest) -> dict[str, Any]:
    """
    Say what a bundle was measured to be worth, and what it costs.

    Returns:
        `name`, `version`, `file`; `measured`: for each domain its `domain` (None for a bundle that
        does not say), `data`, `images`, `patients`, `auc` and `interval_95`; `median_ms` of an
        inference with one thread, and `bytes`, where they are known.
    """
    return {
        "name": manifest.name,
        "version": manifest.version,
        "file": manifest.default_model,
        "measured": list(_measured(manifest)),
        **_cost(manifest),
    }


def own_test(manifest: Manifest) -> dict[str, Any] | None:
    """
    Say what the default file scored on all test images of its training, of whatever domain.

    Returns:
        What `worth` has of a domain, with None as the domain; None if the manifest does not say.
    """
    test = manifest.scores.get("test")
    if not isinstance(test, dict):
        return None
    try:  # what others wrote there is not ours to complain about
        low, high = map(float, test["intervals_95"]["auc"])
        counts = {name: int(test[name]) for name in ("images", "patients")}
        auc = float(test["auc"])
    except (KeyError, TypeError, ValueError):
        return None
    return {"domain": None, "data": TEST, **counts, "auc": auc, "interval_95": [low, high]}


def refuse_chance(manifest: Manifest) -> None:
    """
    Refuse a bundle that was measured, and nowhere found better than chance.

    Raises:
        ConfigError: no interval of its AUC lies above one half; the text has them.
    """
    found = list(_measured(manifest))
    if found and all(each["interval_95"][0] <= CHANCE for each in found):
        scores = "; ".join(described(each) for each in found)
        msg = (
            f"{manifest.name} {manifest.version} is no better than chance: {scores}; expected an "
            f"interval above {CHANCE}; force it if it shall serve all the same"
        )
        raise ConfigError(msg)


def described(measured: Mapping[str, Any]) -> str:
    """Put one measurement into words."""
    low, high = measured["interval_95"]
    domain = f"{measured['domain']}: " if measured["domain"] else ""
    return (
        f"{domain}AUC {measured['auc']:.3f} ({low:.3f} to {high:.3f}), {measured['images']} images "
        f"of {measured['patients']} patients, {measured['data']}"
    )


def side_by_side(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[list[str]]:
    """Lay out two answers of `worth` as rows of three cells: a word, the old and the new one."""
    both = [{} if before is None else before, after]
    domains = dict.fromkeys(each["domain"] for side in both for each in side.get("measured", []))
    rows = [["model", *(f"{side['name']} {side['version']}" if side else "" for side in both)]]
    rows += [
        [domain or "its own test", *(_of_domain(side, domain) for side in both)]
        for domain in domains
    ]
    if not after["measured"]:
        rows.append(["measured", "", "not said: nothing is known of its worth"])
    rows.append(["cost", *(_cost_words(side) for side in both)])
    return rows


def _of_domain(side: Mapping[str, Any], domain: str | None) -> str:
    found = [each for each in side.get("measured", []) if each["domain"] == domain]
    if not found:
        return "not measured" if side else ""
    return described(found[0] | {"domain": None})


def _cost_words(side: Mapping[str, Any]) -> str:
    known = {"median_ms": "{} ms an image", "bytes": "{:,} bytes"}
    return ", ".join(text.format(side[key]) for key, text in known.items() if side.get(key))


def _measured(manifest: Manifest) -> Iterator[dict[str, Any]]:
    domains = manifest.models[manifest.default_model].measured
    if domains is not None:
        for domain, found in domains.items():
            yield {
                "domain": domain,
                **found.model_dump(include={"data", "images", "patients", "auc"}),
                "interval_95": list(found.interval_95),
            }
        return
    if test := own_test(manifest):
        yield test


def _cost(manifest: Manifest) -> dict[str, Any]:
    cost: dict[str, Any] = {"median_ms": None, "bytes": None}
    files = manifest.training.get("files")
    try:
        found = next(
            file
            for file in (files if isinstance(files, list) else [])
            if file["file"] == manifest.default_model and file["shipped"]
        )
        cost["bytes"] = int(found["bytes"])
        cost["median_ms"] = float(found["cost"]["litert"]["median_ms"])
    except (StopIteration, KeyError, TypeError, ValueError):
        pass
    return cost
