"""Whether this container's own gateway answers, for platforms that run a program to find out."""

from __future__ import annotations

import http.client
import ssl
import sys
from collections.abc import Mapping

from pilotlight.config import Settings
from pilotlight.instance.boot import settings_of

_PATIENCE_S = 5.0


def answers(path: str, environ: Mapping[str, str]) -> int:
    """0 when `path` answers with 200, else 1 with the reason on stderr."""
    connection = _connection(settings_of(environ))
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"error: nobody answers: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if status != 200:
        print(f"error: {path} answers {status}", file=sys.stderr)
    return 0 if status == 200 else 1


def _connection(settings: Settings) -> http.client.HTTPConnection:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    if settings.tls_certificate is None:
        return http.client.HTTPConnection(host, settings.port, timeout=_PATIENCE_S)
    # Its certificate is for the name that clients use, and this is not one of them.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, settings.port, timeout=_PATIENCE_S, context=context)
