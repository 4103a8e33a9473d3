"""
`mammo-train report`: one HTML page that needs nothing beside it, and the model card.

Both are made from the numbers of the run.
"""

import base64
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Final

from train import wording
from train.errors import TrainError
from train.evaluation import verdict
from train.progress import say
from train.reporting import model_card, tables
from train.reporting.pictures import SUBGROUPS, beside, curves_of
from train.reporting.tables import Numbers, Table
from train.run_folder import RunFolder, read_json

TEMPLATES: Final = files("train.reporting") / "templates"
"""The folder of the texts that numbers are filled into."""
WIDE: Final = ("confusion", "training", "subgroups", "gallery")
"""Pictures that take the whole width, by how their names begin."""
GALLERY: Final = {
    "gallery-found.png": "Malignant films with the highest scores.",
    "gallery-missed.png": "Malignant films with the lowest scores: what the model misses.",
    "gallery-cleared.png": "Benign films with the lowest scores.",
    "gallery-false-alarm.png": "Benign films with the highest scores: what the model takes for "
    "malignant.",
}
LEGEND: Final = (
    "Above the film as the network sees it, below with its map: red speaks for malignant, blue "
    "against it, on one scale for all films;"
    " the cross is its highest place, shown on malignant films. Boxes are the radiologist's: red "
    "malignant, blue benign lesions. No two"
    " films of a row are of one patient. Where the films come from, and under which licence, "
    'stands under "Data" below.'
)
STYLE: Final = (TEMPLATES / "report.css").read_text("utf-8")


def report(run: RunFolder, card_path: Path) -> None:
    """
    Write RUN/report.html and the model card, whose pictures lie in a folder beside it.

    Raises:
        TrainError: `evaluate` or `export` was not run yet, they were of two bundles, or the run has
            none.
    """
    notes = read_json(run.notes, "fit RECIPE --data DATA --out RUN")
    recipe = notes["recipe"]
    if not any(recipe.get(name) for name in ("phases", "linear", "dense")):
        msg = (
            f"{run.root}: recipe {recipe['name']} scores pieces about lesions and has no bundle "
            f"to report on;"
            f" its numbers, from `mammo-train evaluate`, are in {run.metrics}"
        )
        raise TrainError(msg)
    history = (
        read_json(run.history, "fit RECIPE --data DATA --out RUN") if run.history.exists() else {}
    )
    exported, measured = (
        read_json(run.exported, "export RUN"),
        read_json(run.metrics, "evaluate RUN"),
    )
    if measured["bundle"]["id"] != exported["bundle_id"]:
        msg = (
            f"{run.metrics} is of the bundle {measured['bundle']['id'][:12]}, the last export "
            f"wrote {exported['bundle_id'][:12]};"
            f" run `mammo-train evaluate {run.root}` again"
        )
        raise TrainError(msg)
    run.report.write_text(
        page(notes, history, measured, exported, run.evaluation), encoding="utf-8"
    )
    card_path.parent.mkdir(parents=True, exist_ok=True)
    text = model_card.card(notes, history, measured, exported)
    text += beside(card_path, run.evaluation, {**curves_of(recipe), **SUBGROUPS})
    card_path.write_text(text, encoding="utf-8")
    say(f"report: {run.report}, model card: {card_path}")


def page(
    notes: Numbers, history: Numbers, measured: Numbers, exported: Numbers, pictures: Path
) -> str:
    """Write the whole page as HTML."""
    recipe = notes["recipe"]
    parts = (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>mammo-edge: {escape(recipe['name'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(recipe['name'])}</h1><p>{escape(recipe['summary'])}</p>",
        f"<p class=notice>{escape(wording.INTENDED_USE)}</p>",
        _verdict(measured),
        _text(_head(notes, measured)),
        f"<pre>{escape(notes['command'])}</pre>",
        *_results(measured),
        "<h2>Curves</h2>",
        *_figures(pictures, curves_of(recipe)),
        *_trust(measured, pictures),
        *_gallery(pictures),
        *_making(notes, history, exported),
        "</html>\n",
    )
    return "\n".join(parts)


def _verdict(measured: Numbers) -> str:
    """Write the red box of what is not better than chance; nothing if all is."""
    found = "".join(f"<li>{escape(text)}.</li>" for text in verdict.sentences(measured))
    return f"<div class=verdict><b>{wording.CHANCE}</b><ul>{found}</ul></div>" if found else ""


def _head(notes: Numbers, measured: Numbers) -> str:
    """Say in two sentences how good the model is, on what, and when that was measured."""
    test = measured["test"]
    data = ", ".join(model_card.sources(notes))
    day = f" on {measured['measured_on']}" if "measured_on" in measured else ""
    return (
        f"Measured{day}: AUC {wording.with_interval(test, 'auc')} on {test['images']} mammograms "
        f"of {test['patients']} patients who were not trained on. Data: {data}."
    )


def _results(measured: Numbers) -> Iterator[str]:
    bundle = measured["bundle"]
    yield "<h2>Scores on test patients</h2>"
    yield _text(
        f"The exported file {bundle['file']} of the bundle {bundle['name']} {bundle['version']}, "
        f"run by the daemon's own engine. Nobody"
        " among these patients was trained on. 95 % intervals: bootstrap over patients. A "
        "refused film counts as p = 0.5."
    )
    yield tables.scores(measured["test"]).html()
    yield "<h2>Beside others</h2>"
    yield tables.anchors(measured).html() + _text(model_card.anchors_note(measured))
    yield "<h2>Operating points</h2>"
    yield tables.operating_points(measured).html()
    for name, point in measured["operating_points"].items():
        yield _text(f"{name}: {point['chosen_on']}.")
    yield _section("", tables.promise(measured), wording.PROMISE)
    yield tables.decision(measured).html()
    yield _section("In screening", tables.in_screening(measured), wording.SCREENING)


def _trust(measured: Numbers, pictures: Path) -> Iterator[str]:
    yield "<h2>Beside what needs no network</h2>" + tables.beside(measured).html()
    yield _section("Film and digital", tables.domains(measured), wording.DOMAINS)
    yield _section("Normal breasts", tables.normal(measured), wording.NORMAL)
    yield _section(
        "Digital mammograms", tables.digital(measured), model_card.digital_note(measured)
    )
    yield _section(
        "The last bundle on the same films",
        tables.against(measured),
        model_card.against_note(measured),
    )
    yield _section("Views of one breast averaged", tables.breasts(measured))
    yield _section("Films, breasts and exams", tables.exams(measured), wording.EXAMS)
    yield _section("Group by group", tables.groups(measured))
    yield from _figures(pictures, SUBGROUPS)
    yield _section("Does the map point at the lesion?", tables.pointing(measured), wording.POINTING)
    yield _section(
        "The same film from another source", tables.sources(measured["invariance"]), wording.SOURCES
    )
    yield _section("", tables.sources(measured["invariance_elsewhere"]), wording.ELSEWHERE)


def _gallery(pictures: Path) -> Iterator[str]:
    yield f"<h2>Right and wrong</h2>{_text(LEGEND)}"
    yield from _figures(pictures, GALLERY)


def _making(notes: Numbers, history: Numbers, exported: Numbers) -> Iterator[str]:
    yield "<h2>Exported files</h2>" + _text(exported.get("default_because", ""))
    yield _section("", tables.files(exported))
    yield tables.export(exported).html()
    yield f"<h2>Data, split by patient</h2>{tables.split(notes).html()}"
    yield _text(f"{len(notes['refused'])} images were refused and left out.")
    yield f"<pre>{escape(exported['about_data'].strip())}</pre>"
    yield f"<h2>How it was trained</h2>{tables.training(notes, history).html()}"


def _section(title: str, table: Table, text: str = "") -> str:
    """Write a section with its table; nothing if the table has no rows."""
    if not table.rows:
        return ""
    head = f"<h2>{escape(title)}</h2>" if title else ""
    return head + (_text(text) if text else "") + table.html()


def _text(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _figures(pictures: Path, captions: Mapping[str, str]) -> Iterator[str]:
    """Yield the pictures that the evaluation drew."""
    for name, caption in captions.items():
        if (pictures / name).exists():
            yield _figure(pictures / name, caption)


def _figure(picture: Path, caption: str) -> str:
    data = base64.b64encode(picture.read_bytes()).decode()
    wide, text = " class=wide" if picture.name.startswith(WIDE) else "", escape(caption)
    return (
        f'<figure{wide}><img alt="{text}" '
        f'src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
    )
