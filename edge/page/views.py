"""The pages: each is made from the ledger as it is now."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from edge.cli import remedies
from edge.cli.status import today_of
from edge.config.settings import Settings
from edge.daemon.telemetry.drift import WINDOW, counts_of, index_of
from edge.errors import StartupError
from edge.models.performance import LEAST_IMAGES, LEAST_WOMEN
from edge.page import charts, heat, words
from edge.page.device import Model, model_of, report_of, rows_of
from edge.page.measured import figures_of
from edge.page.peaks import peaks_of
from edge.page.points import file_of, points_of
from edge.page.rows import SHORT, picture_of, row_of
from edge.page.templates import Templates
from edge.storage.ledger.followed import Given, Subject, exam_of, standing_of
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.verdict_report import read_report
from edge.storage.ledger.worklist import Scored, Waiting, Worklist, open_worklist
from edge.storage.pictures import PICTURE, SMALL

NEWEST: Final = 20
"""Results on the first page."""
PAGE: Final = 50
"""Results, or exams, on a page of their own."""
NAMED: Final = 8
"""Waiting images that are named."""
DRAWN: Final = {"picture": PICTURE, "small": SMALL}
"""Endings of the pictures that a worker drew, by their names on the page."""
MOST_SEQ: Final = 18
"""Digits of a sequence number."""


class Views:
    """
    The pages of one device.

    Args:
        settings: the configuration.
        templates: the HTML.
    """

    def __init__(self, settings: Settings, templates: Templates) -> None:
        self._settings, self._templates = settings, templates
        self._names = settings.page.names
        self._open = partial(open_worklist, settings.state.path)

    def worklist(self, request: Request) -> Response:
        """Show what waits, the last results, state and charts."""
        del request
        now = datetime.now(UTC).astimezone()
        device = report_of(self._settings)
        with self._open() as ledger:
            today = today_of(ledger, now)
            queue = ledger.queue()
            values = {
                "waiting": [self._waiting(one, now) for one in ledger.waiting(NAMED)],
                "queue": queue,
                "oldest": words.ago(queue.oldest, now.timestamp()) if queue.oldest else "",
                "rows": [row_of(one, self._settings) for one in ledger.results(None, NEWEST)],
                "charts": self._charts(ledger, now),
            }
        return self._templates.page(
            "worklist.html",
            device=device,
            facts=rows_of(device, today),
            today=today,
            at="worklist",
            **values,
        )

    def results(self, request: Request) -> Response:
        """List results, a page at a time."""
        before = _before(request)
        with self._open() as ledger:
            found = ledger.results(before, PAGE + 1)
        rows = [row_of(one, self._settings) for one in found[:PAGE]]
        older = found[PAGE - 1].seq if len(found) > PAGE else None
        return self._page(
            "results.html", "results", rows=rows, older=older, newer=before is not None
        )

    def result(self, request: Request) -> Response:
        """Show one image: its map, peaks, score and reasons."""
        result_id = request.path_params["result_id"]
        with open_readonly(self._settings.state.path) as db:
            found = Worklist(db).result(result_id)
            if found is None:
                raise HTTPException(404, "This result is not in the ledger, or no longer.")
            row = row_of(found, self._settings)
            image_id = row.said["image_id"]
            standing = standing_of(db, image_id)
            values = {
                "exam": exam_of(db, image_id),
                "verdict": Given.of(db, Subject("image", image_id)),
                "standing": None if standing == result_id else standing,
            }
        advice = remedies.about_rejection(row.reasons) if row.reasons else ""
        peaks = peaks_of(row.said) if row.said.get("image") else None
        return self._page("result.html", "results", row=row, advice=advice, peaks=peaks, **values)

    def picture(self, request: Request) -> Response:
        """Draw the map of one image."""
        with self._open() as ledger:
            found = ledger.result(request.path_params["result_id"])
        heatmap = json.loads(found.payload).get("heatmap") if found else None
        if heatmap is None:
            raise HTTPException(404, "no map")
        return Response(heat.png(heatmap["values"]), media_type="image/png")

    def drawn(self, request: Request) -> Response:
        """Send a picture that a worker drew of one image; nothing is decoded here."""
        ending = DRAWN.get(request.path_params["drawn"])
        if ending is None:
            raise HTTPException(404, "no picture")
        with self._open() as ledger:
            found = ledger.result(request.path_params["result_id"])
        file = picture_of(json.loads(found.payload), self._settings, ending) if found else None
        try:
            drawn = file.read_bytes() if file else None
        except FileNotFoundError:  # pruned just now
            drawn = None
        if drawn is None:
            raise HTTPException(404, "no picture")
        return Response(drawn, media_type="image/jpeg")

    def exams(self, request: Request) -> Response:
        """List exams, a page at a time."""
        before = _before(request)
        with self._open() as ledger:
            found = [json.loads(one) for one in ledger.exams(before, PAGE + 1)]
            waiting = ledger.waiting_exams()
        older = found[PAGE - 1]["seq"] if len(found) > PAGE else None
        shown = found[:PAGE]
        newer = before is not None
        return self._page(
            "exams.html", "exams", exams=shown, waiting=waiting, older=older, newer=newer
        )

    def exam(self, request: Request) -> Response:
        """Show one exam, its views side by side."""
        exam_id = request.path_params["exam_id"]
        with open_readonly(self._settings.state.path) as db:
            ledger = Worklist(db)
            payload = ledger.exam(exam_id)
            if payload is None:
                raise HTTPException(404, "This exam is not in the ledger, or no longer.")
            exam = json.loads(payload)
            found = {view["result_id"]: ledger.result(view["result_id"]) for view in exam["views"]}
            verdict = Given.of(db, Subject("exam", exam_id))
        rows = {key: one and row_of(one, self._settings) for key, one in found.items()}
        return self._page("exam.html", "exams", exam=exam, rows=rows, verdict=verdict)

    def performance(self, request: Request) -> Response:
        """Show what the model is worth here, by verdicts."""
        del request
        with open_readonly(self._settings.state.path) as db:
            found = read_report(db, by="domain")
        least = (LEAST_IMAGES, LEAST_WOMEN)
        return self._page("performance.html", "performance", found=found, least=least)

    def model(self, request: Request) -> Response:
        """Show the model that is chosen to serve, and its card."""
        del request
        model = model_of(self._settings)
        manifest = model.manifest
        if manifest is None:
            return self._page("model.html", "model", model=model)
        last = self._last(model)
        file = file_of(manifest, last)
        chosen = self._settings.model.operating_point or manifest.default_operating_point
        points = points_of(manifest.models[file], last, chosen)
        return self._page(
            "model.html",
            "model",
            model=model,
            file=file,
            points=points,
            used=any(point.used for point in points),
            figures=figures_of(manifest),
        )

    def _last(self, model: Model) -> Scored | None:
        """Return the last score if this model gave it."""
        with suppress(StartupError), self._open() as ledger:  # the card is there without a ledger
            last = ledger.last_scored()
            return last if last and last.bundle_id == model.bundle else None
        return None

    def _page(self, template: str, at: str, **values: object) -> Response:
        return self._templates.page(template, at=at, **values)

    def _waiting(self, one: Waiting, now: datetime) -> dict[str, object]:
        name = words.safe(one.name) if self._names else one.image_id[:SHORT]
        since = words.ago(one.received_at, now.timestamp())
        return {"name": name, "since": since, "examining": one.examining}

    def _charts(self, ledger: Worklist, now: datetime) -> list[tuple[str, charts.Bars]]:
        days = charts.days_until(now.date())
        since = (now - timedelta(days=charts.DAYS)).timestamp()
        drawn = [("Images a day", charts.counts(days, ledger.by_day(since)))]
        last = ledger.last_scored()
        if last is not None:
            drawn.append(("Spread of scores", _spread(ledger, last, model_of(self._settings))))
            means = charts.means(days, ledger.scores_by_day(last.bundle_id, since))
            drawn.append(("Mean score a day", means))
        return drawn


def _spread(ledger: Worklist, last: Scored, model: Model) -> charts.Bars:
    """Draw the last scores beside those that the model was measured on, and its last threshold."""
    reference: list[int] = []
    if model.manifest is not None and model.bundle == last.bundle_id:
        file = file_of(model.manifest, last)
        reference = list(model.manifest.models[file].reference_histogram)
    found = counts_of(ledger.scores(last.bundle_id, WINDOW), 20)
    return charts.spread(found, reference, last.threshold, index_of(found, reference))


def _before(request: Request) -> int | None:
    text = request.query_params.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_SEQ else None
