"""How this node reaches the outside: certificate authorities and proxy."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pilotlight.errors import SourceError

_AUTHORITY_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


@dataclass(frozen=True, slots=True)
class Network:
    """Authorities trusted beside the system's own, and a proxy that overrides HTTPS_PROXY's."""

    authorities: tuple[Path, ...] = ()
    proxy: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Network:
        """As curl, requests and pip would: their variables are what administrators set."""
        given = os.environ if environ is None else environ
        named = (given.get(variable) for variable in _AUTHORITY_VARIABLES)
        return cls(tuple(Path(name) for name in dict.fromkeys(named) if name))

    def ssl_context(self) -> ssl.SSLContext:
        """Verifying TLS; reads the authorities' files.

        Raises:
            SourceError: an authority's file is missing or no certificate.
        """
        context = ssl.create_default_context()
        for path in self.authorities:
            try:
                if path.is_dir():
                    context.load_verify_locations(capath=path)
                else:
                    context.load_verify_locations(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise SourceError(
                    f"can't read the certificate authorities in {str(path)!r}: {error.strerror}",
                    hint=f"correct {', '.join(_AUTHORITY_VARIABLES)} or pip's cert setting",
                ) from error
        return context
