"""No password goes out that everyone on the way can read."""

import pytest

from edge.config.settings import Broker as Settings
from edge.config.settings import Tls
from edge.errors import ConfigError
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.tls import refuse_cleartext


@pytest.mark.parametrize(
    "host", ["broker.lan", "192.168.7.4", "8.8.8.8", "::2", "localhost.evil.example"]
)
def test_a_password_in_clear_to_another_machine_is_refused_before_anything_is_sent(
    host: str,
) -> None:
    with pytest.raises(ConfigError, match=f"in clear to {host}: turn on broker.tls"):
        MqttClient(
            Settings(host=host),
            password="geheim",  # noqa: S106
            client_id="x",
            will=("t", b""),
            health=Health(),
            max_incoming=1,
        )


@pytest.mark.parametrize(
    "settings",
    [
        Settings(host="localhost"),
        Settings(host="127.0.0.9"),
        Settings(host="::1"),
        Settings(host="broker.lan", tls=Tls(enabled=True)),
        Settings(host="broker.lan", allow_cleartext_password=True),
    ],
)
def test_it_goes_to_this_machine_over_tls_and_where_the_configuration_wants_it_so(
    settings: Settings,
) -> None:
    refuse_cleartext(settings, "geheim")
    refuse_cleartext(Settings(host="broker.lan"), None)
