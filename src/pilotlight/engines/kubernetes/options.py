"""What can be set about a model whose engine runs in pods."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.core import Operation
from pilotlight.engines.given import Reader, option, required
from pilotlight.engines.kubernetes.servers import SERVERS
from pilotlight.engines.llamacpp import kinds as plain
from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.engines.openai import kinds
from pilotlight.engines.openai.options import ENDPOINTS

_USUAL = frozenset({Operation.CHAT, Operation.COMPLETIONS})

# RFC 1123; a Deployment's name may have dots, a namespace's may not.
_DEPLOYMENT = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _name(pattern: re.Pattern[str]) -> Kind:
    def parse(raw: Any) -> str:
        if not pattern.fullmatch(raw):
            raise ValueError
        return str(raw)

    return Kind("a name of lower-case letters, digits and dashes", parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's; the pods' key itself is in none of them."""

    deployment: str = required(_name(_DEPLOYMENT), "the Deployment whose pods run the engine")
    namespace: str | None = option(
        None, _name(_NAMESPACE), "the Deployment's namespace; else the gateway's own"
    )
    port: int = option(8080, plain.whole(1, 65535), "where a pod's server listens")
    path: str = option("/v1", kinds.path(), "what its API's paths begin with")
    server: str = option("llamacpp", plain.one_of(*SERVERS), "whose request fields the pods honour")
    api_key_env: str | None = option(
        None, kinds.variable(), "environment variable that holds the pods' key", hidden=True
    )
    headers: tuple[tuple[str, str], ...] = option(
        (), kinds.headers(), "further headers to send", hidden=True
    )
    timeout: float = option(120.0, kinds.duration(), "longest wait for the next byte of an answer")
    max_concurrency: int = option(8, plain.whole(1, 4096), "requests one pod is given at once")
    context: int | None = option(
        None, plain.whole(1), "tokens one request may use, prompt and answer together"
    )
    operations: frozenset[Operation] = option(
        _USUAL, kinds.operations(ENDPOINTS), "what the pods' server does"
    )
    parameters: frozenset[str] | None = option(
        None, kinds.words(), "request fields it honours beyond the usual; else the server's own"
    )
    tools: bool = option(True, plain.switch(), "the model calls tools")
    vision: bool = option(False, plain.switch(), "the model reads images")
    ready: str = option("/models", kinds.path(), "a GET of this below path answers 200")
    scales: bool = option(
        True, plain.switch(), "the gateway sets the number of pods; off where KEDA or an HPA does"
    )
    linger: float = option(
        300.0, kinds.duration(), "how long a pod stays that no gateway uses, as after a restart"
    )


def complete(given: Mapping[str, Any]) -> Options:
    """`given`, checked. Raises EngineOptionError by name."""
    return Reader("kubernetes").read(Options, given)
