"""Couriers: from the outbox to each configured sink."""

from collections.abc import Callable, Collection, Iterator
from typing import Final

from edge.config.settings import Pacs, Settings
from edge.contract.render import without_heatmap
from edge.contract.report_job import Answer, Job, Peer
from edge.daemon.publish.courier import Courier
from edge.daemon.publish.dicom import DicomSink
from edge.daemon.publish.dicom_map import Draw, MapSink
from edge.daemon.publish.jsonl import JsonlSink
from edge.daemon.publish.mqtt import ExamSink, MqttSink, ReplySink
from edge.daemon.publish.replies import ReplyCourier
from edge.daemon.publish.report_process import Reporter
from edge.errors import ConfigError
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import Topics
from edge.storage.ledger import Ledger
from edge.storage.ledger.exam_sinks import EXAM
from edge.system import extras
from edge.system.certificates import client_context

STOP_S: Final = 2.0
"""Seconds for which each courier may go on at the end."""


class Delivery:
    """
    A courier for each sink.

    Args:
        settings: say which sinks there are.
        ledger: has what is to be delivered.
        health: for stamps and reasons.
        client: the connection to the broker, if there is one.
        draw: draws maps for the PACS; None if it gets none.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        health: Health,
        client: MqttClient | None,
        draw: Draw | None = None,
    ) -> None:
        reports, maps = Reporter(health.beat), Reporter(health.beat)
        self._reporters = (reports, maps)
        self._couriers = list(_couriers(settings, ledger, health, client, reports.ask))
        peer = _peer_of(settings.pacs)
        if peer and draw:
            sink = MapSink(peer, ledger, maps.ask, draw)
            self._couriers.append(Courier(sink, ledger.outbox, health))
        if client:
            for courier in self._couriers:
                client.on_connect(courier.retry_held)

    def start(self) -> None:
        """Begin to deliver."""
        for courier in self._couriers:
            courier.start()

    def wake(self) -> None:
        """Tell the couriers that the outbox has a new row."""
        for courier in self._couriers:
            courier.wake()

    def end_reports(self, image_ids: Collection[str]) -> bool:
        """End what is on its way to the PACS of these images; True if there was something."""
        return True in [reporter.end(image_ids) for reporter in self._reporters]

    def stop(self) -> None:
        """Deliver what goes at once, then end."""
        for courier in self._couriers:
            courier.stop(STOP_S)


def _couriers(
    settings: Settings,
    ledger: Ledger,
    health: Health,
    client: MqttClient | None,
    report: Callable[[Job], Answer],
) -> Iterator[Courier]:
    outbox = ledger.outbox
    if client:
        topics = Topics.of(settings.device)
        yield Courier(MqttSink(client, topics, without_heatmap), outbox, health)
        replies = ReplySink(client, topics, without_heatmap)
        yield ReplyCourier(replies, outbox, health, settings.publish.reply_expiry_s)
        if EXAM in settings.exam_sinks:
            yield Courier(ExamSink(client, topics), ledger.exam_outbox, health)
    if settings.publish.jsonl:
        yield Courier(JsonlSink(settings.publish.jsonl, outbox.wanted), outbox, health)
    peer = _peer_of(settings.pacs)
    if peer:
        sink = DicomSink(peer, ledger, report)
        of_exams = settings.pacs.results == "exam"
        yield Courier(sink, ledger.exam_reports if of_exams else outbox, health)


def check_peer(pacs: Pacs) -> None:
    """
    Check what reports need on this machine.

    Raises:
        ConfigError: the library is missing, or a certificate or key cannot be read.
    """
    extras.demand("pynetdicom", "dicom", "pacs.peer")
    if pacs.tls:
        try:
            client_context(pacs.ca, pacs.cert, pacs.key)
        except OSError as error:
            msg = f"pacs: ca, cert or key: {error.strerror or error}"
            raise ConfigError(msg) from None


def _peer_of(pacs: Pacs) -> Peer | None:
    """Say who gets reports; None if nobody does. What the peer needs is not looked at yet."""
    if pacs.address is None:
        return None
    to = pacs.address
    return Peer(
        aet=to.aet,
        host=to.host,
        port=to.port,
        calling=pacs.aet,
        tls=pacs.tls,
        ca=pacs.ca,
        cert=pacs.cert,
        key=pacs.key,
    )
