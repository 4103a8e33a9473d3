"""TLS towards senders: 1.2 or later, and certificates both ways."""

import ssl

from edge.config.dicom import Dicom
from edge.dicom.receive.framing import TlsSocket
from edge.errors import ConfigError
from edge.system.certificates import load_own


def server_context(settings: Dicom) -> ssl.SSLContext | None:
    """
    Return the certificates and rules of TLS; None if it is off.

    Raises:
        ConfigError: a certificate or key cannot be read.
    """
    if settings.ca is None or settings.cert is None:
        return None
    what = f"cert: {settings.cert} with key {settings.key}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        load_own(context, settings.cert, settings.key)
        what = f"ca: {settings.ca}"
        context.load_verify_locations(cafile=str(settings.ca))
    except (OSError, ssl.SSLError) as error:
        msg = f"dicom.{what}: {error.strerror or error}"
        raise ConfigError(msg) from None
    context.sslsocket_class = TlsSocket
    return context
