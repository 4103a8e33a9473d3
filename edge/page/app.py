"""The page as an ASGI application."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from edge import __version__
from edge.config.settings import Settings
from edge.errors import StartupError
from edge.page.access import Kind
from edge.page.entrance import Entrance
from edge.page.events import News
from edge.page.guard import Guard
from edge.page.templates import Templates
from edge.page.views import Views
from edge.storage.ledger.followed import Subject, version_of
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.worklist import Worklist
from edge.storage.pictures import changed


def make_app(settings: Settings, ending: Callable[[], bool] = lambda: False) -> ASGIApp:
    """
    Make the application.

    Args:
        settings: the configuration.
        ending: returns True once the process is to end.
    """
    device = settings.device
    templates = Templates({"device_name": f"{device.site}/{device.name}", "version": __version__})
    kind: Kind = "token" if settings.page.local else "password"
    entrance = Entrance(settings.state.path, kind, secure=settings.page.tls, templates=templates)
    news = News(partial(_version, settings), ending, entrance.knows)
    app = Starlette(
        routes=_routes(Views(settings, templates), entrance, news),
        exception_handlers={
            StartupError: _answer(templates, 503),
            HTTPException: _answer(templates, None),
            Exception: _answer(templates, 500, "A defect: the journal says more."),
        },
    )
    return Guard(app, settings.page.allowed, entrance)


def _routes(views: Views, entrance: Entrance, news: News) -> list[Route | Mount]:
    shown = {
        "/": views.worklist,
        "/results": views.results,
        "/results/{result_id}": views.result,
        "/results/{result_id}/map.png": views.picture,
        "/results/{result_id}/{drawn}.jpg": views.drawn,
        "/exams": views.exams,
        "/exams/{exam_id}": views.exam,
        "/performance": views.performance,
        "/model": views.model,
        "/events": news.listen,
        "/events/{kind}/{id}": news.listen,
        "/enter": entrance.form,
    }
    static = StaticFiles(directory=str(files("edge.page") / "static"))
    return [
        *(Route(path, view) for path, view in shown.items()),
        Route("/enter", entrance.enter, methods=["POST"]),
        Route("/leave", entrance.leave, methods=["POST"]),
        Mount("/static", static),
    ]


def _version(settings: Settings, subject: Subject | None) -> str:
    state = settings.state.path
    try:
        with open_readonly(state) as db:
            if subject is None:
                return f"{Worklist(db).version()} {changed(state)}"
            version, images = version_of(db, subject)
            return " ".join([version, *(str(changed(state, image)) for image in images)])
    except StartupError as error:
        return str(error)


def _answer(
    templates: Templates, status: int | None, words: str = ""
) -> Callable[[Request, Exception], Response]:
    """Make a function that tells a person what is wrong; None for the error's own status."""

    def answer(_request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return templates.page("error.html", error.status_code, why=error.detail, at="")
        return templates.page("error.html", status or 500, why=words or str(error), at="")

    return answer
