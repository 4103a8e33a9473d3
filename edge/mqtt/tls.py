"""Protection of the connection to the broker: TLS, and no password in clear."""

import ipaddress
import ssl

from edge.config.settings import Broker as BrokerSettings
from edge.errors import ConfigError
from edge.system.certificates import load_own


def refuse_cleartext(settings: BrokerSettings, password: str | None) -> None:
    """
    Let no password go out that everyone on the way can read.

    Raises:
        ConfigError: there is a password, no TLS, and the broker is on another machine, unless the
            configuration wants it so.
    """
    if (
        password is None
        or settings.tls.enabled
        or settings.allow_cleartext_password
        or is_loopback(settings.host)
    ):
        return
    msg = (
        f"broker: the password would go in clear to {settings.host}: turn on "
        "broker.tls, or set broker.allow_cleartext_password"
    )
    raise ConfigError(msg)


def is_loopback(host: str) -> bool:
    """Return True for a name or address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in {"localhost", "localhost."}


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """
    Return the certificates and rules of TLS to the broker.

    Raises:
        ConfigError: a certificate or key cannot be read.
    """
    tls = settings.tls
    what = f"ca: {tls.ca}" if tls.ca else "ca: the system's authorities"
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert is not None:
            what = f"cert: {tls.cert} with key {tls.key}"
            load_own(context, tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        msg = f"broker.tls.{what}: {error.strerror or error}"
        raise ConfigError(msg) from None
    return context
