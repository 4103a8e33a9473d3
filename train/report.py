"""`mammo-train report`: one HTML page that needs nothing beside it, and the model card, both from the numbers of the run."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final, TypeAlias

from train import card, wording
from train.progress import say
from train.run_folder import RunFolder, read_json

Numbers: TypeAlias = Mapping[str, Any]

PICTURES: Final = (
    ("roc.png", "ROC curve: sensitivity against false alarms over all thresholds; the dot is the operating point."),
    ("confusion.png", "Confusion matrices: how many test images of each truth were called what."),
    ("scores.png", "Calibrated scores of the test images; better models keep the two colours apart."),
    ("training.png", "Training: loss and AUC after each epoch; the kept epoch is the best on validation patients."),
)
STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { border: 1px solid #ccc; padding: .25rem .75rem; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
figure { display: inline-block; margin: 1rem 1rem 1rem 0; max-width: 100% } img { max-width: 100% }
figcaption { color: #555; max-width: 34rem } .notice { background: #fff3cd; padding: .5rem 1rem }
pre { background: #f5f5f5; padding: .5rem 1rem; white-space: pre-wrap }
"""


def report(run: RunFolder, card_path: Path) -> None:
    """
    Write RUN/report.html and the model card.

    Raises:
        TrainError: `evaluate` or `export` was not run yet.
    """
    fit = "fit RECIPE --data DATA --out RUN"
    notes, history = read_json(run.notes, fit), read_json(run.history, fit)
    measured, exported = read_json(run.metrics, "evaluate RUN"), read_json(run.exported, "export RUN")
    run.report.write_text(page(notes, history, measured, exported, run.evaluation), encoding="utf-8")
    card_path.parent.mkdir(parents=True, exist_ok=True)
    card_path.write_text(card.card(notes, history, exported), encoding="utf-8")
    say(f"report: {run.report}, model card: {card_path}")


def page(
    notes: Mapping[str, Any], history: Mapping[str, Any], measured: Mapping[str, Any], exported: Mapping[str, Any], pictures: Path
) -> str:
    """The whole page as HTML."""
    recipe = notes["recipe"]
    parts = (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>mammo-edge: {escape(recipe['name'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(recipe['name'])}</h1><p>{escape(recipe['summary'])}</p><p class=notice>{escape(wording.INTENDED_USE)}</p>",
        f"<pre>{escape(notes['command'])}</pre>",
        "<h2>Data, split by patient</h2>",
        _table(("side", "images", "malignant", "patients"), card.split_rows(notes)),
        f"<p>{len(notes['refused'])} images were refused and left out.</p>",
        "<h2>Scores on test patients</h2><p>Nobody among them was trained on. 95 % intervals: bootstrap over patients.</p>",
        _table(("", "Keras", "exported file"), _both(card.score_rows(measured), card.score_rows(exported["test"]))),
        "<h2>Curves</h2>",
        *(_figure(pictures / name, caption) for name, caption in PICTURES),
        "<h2>Exported file</h2>",
        _table(("", ""), card.export_rows(exported)),
        "<h2>How it was trained</h2>",
        _table(("", ""), card.training_rows(notes, history)),
        "</html>\n",
    )
    return "\n".join(parts)


def _both(first: Iterable[tuple[str, str]], second: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(name, one, other) for (name, one), (_, other) in zip(first, second, strict=True)]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = [
        f"<tr><th>{escape(row[0])}</th>" + "".join(f"<td class=number>{escape(cell)}</td>" for cell in row[1:]) + "</tr>" for row in rows
    ]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _figure(picture: Path, caption: str) -> str:
    data = base64.b64encode(picture.read_bytes()).decode()
    return f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
