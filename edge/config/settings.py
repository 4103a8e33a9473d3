"""The configuration as one frozen model; every section can be imported from here."""

from pathlib import Path
from typing import Final, Literal

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from edge.config.dicom import Dicom
from edge.config.files import Inbox, Retention, Spool, State
from edge.config.network import (
    Broker,
    Control,
    Exam,
    HomeAssistant,
    Intake,
    Metrics,
    Publish,
    Tls,
)
from edge.config.pacs import Pacs
from edge.config.page import Page
from edge.config.scoring import Model, Worker
from edge.config.section import Count, Level, Seconds, Section
from edge.system.patience import PATIENCE_S, within

__all__ = [
    "PREFIX",
    "Broker",
    "Control",
    "Count",
    "Device",
    "Dicom",
    "Exam",
    "HomeAssistant",
    "Inbox",
    "Intake",
    "Level",
    "Log",
    "Metrics",
    "Model",
    "Pacs",
    "Page",
    "Publish",
    "Retention",
    "Seconds",
    "Section",
    "Settings",
    "Spool",
    "State",
    "Tls",
    "Worker",
]

PREFIX: Final = "MAMMO_EDGE_"
"""The beginning of every environment variable that sets a key."""


class Device(Section):
    """
    The device's place in its topics, `mammo/v1/<site>/<name>/...`.

    Never a patient's or a person's name.
    """

    site: Level = "site"
    """The clinic or practice."""
    name: Level = "edge-1"
    """This device, unique within the site."""


class Log(Section):
    """Messages on stderr, for the journal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity shown."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__"
    )

    device: Device = Device()
    inbox: Inbox = Inbox()
    spool: Spool = Spool()
    retention: Retention = Retention()
    state: State = State()
    model: Model = Model()
    worker: Worker = Worker()
    broker: Broker = Broker()
    intake: Intake = Intake()
    publish: Publish = Publish()
    exam: Exam = Exam()
    control: Control = Control()
    metrics: Metrics = Metrics()
    homeassistant: HomeAssistant = HomeAssistant()
    dicom: Dicom = Dicom()
    pacs: Pacs = Pacs()
    page: Page = Page()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names the parameters
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """
        Take what `load` merged and nothing else.

        The environment is read once, before it is cleaned for the workers.
        """
        return (init_settings,)

    @model_validator(mode="after")
    def _nothing_of_ours_in_the_inbox(self) -> "Settings":
        inbox = _resolved(self.inbox.path)
        ours = {
            "spool.path": self.spool.path,
            "spool.done": self.spool.done,
            "spool.failed": self.spool.failed,
            "state.path": self.state.path,
        }
        for key, folder in ours.items():
            if folder.resolve().is_relative_to(inbox):
                msg = (
                    f"{key}: {folder} lies in the inbox {self.inbox.path}: what is "
                    "put there would be taken for a new image"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _one_process_on_an_accelerator(self) -> "Settings":
        if self.model.backend == "edgetpu" and self.worker.count != 1:
            msg = (
                f"worker.count is {self.worker.count}, expected 1: model.backend is "
                "edgetpu, and one process has the accelerator"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _exams_are_whole(self) -> "Settings":
        wanted = "enabled" if self.exam.enabled else "folders" if self.exam.folders else None
        if wanted is None or self.makes_exams:
            return self
        if self.exam.enabled is False:
            why = "exam.enabled is false"
        elif self.intake.shared_group:
            why = (
                "intake.shared_group shares requests with other devices, "
                "each of which would see a part of an exam"
            )
        else:
            why = "publish.mqtt is off, and no [pacs] peer gets reports of exams"
        msg = f"exam.{wanted} is true, and {why}: remove one of them"
        raise ValueError(msg)

    @model_validator(mode="after")
    def _reports_of_exams_need_exams(self) -> "Settings":
        if self._wants_exams and not self.makes_exams:
            why = (
                "exam.enabled is false"
                if self.exam.enabled is False
                else "intake.shared_group shares requests with other devices"
            )
            msg = f'pacs.results is "exam", and {why}: set pacs.results to "image"'
            raise ValueError(msg)
        return self

    @property
    def makes_exams(self) -> bool:
        """True if results of exams are made."""
        wanted = self.publish.mqtt or self._wants_exams
        return wanted and self.intake.shared_group is None and self.exam.enabled is not False

    @property
    def _wants_exams(self) -> bool:
        return self.pacs.peer is not None and self.pacs.results == "exam"

    @property
    def exam_sinks(self) -> list[str]:
        """The sinks that get every result of an exam."""
        wanted = {"exam": self.publish.mqtt, "dicom": self._wants_exams}
        return [name for name, want in wanted.items() if want and self.makes_exams]

    @property
    def uses_broker(self) -> bool:
        """True if the daemon connects to a broker."""
        return self.publish.mqtt or self.intake.mqtt

    @property
    def served(self) -> frozenset[str]:
        """The outbox's sinks that somebody takes results to, new ones or those that are left."""
        return frozenset([*self.sink_names, *(("mqtt", "reply") if self.uses_broker else ())])

    @property
    def sink_names(self) -> list[str]:
        """The outbox's sinks that get every result."""
        wanted = {
            "mqtt": self.publish.mqtt,
            "jsonl": self.publish.jsonl is not None,
            "dicom": self.pacs.peer is not None and self.pacs.results == "image",
            "dicom_map": self.pacs.map,
        }
        return [name for name, want in wanted.items() if want]


def _resolved(folder: Path) -> Path:
    """Follow the links to a folder, unless its file system does not answer: a mount that hangs."""
    try:
        return within(PATIENCE_S, folder.resolve)
    except TimeoutError:
        return folder.parent.resolve() / folder.name
