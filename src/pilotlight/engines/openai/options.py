"""What can be set about an endpoint that somebody else runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pilotlight.core import Operation, Price
from pilotlight.engines.given import Reader, option
from pilotlight.engines.llamacpp import kinds as plain
from pilotlight.engines.openai import kinds
from pilotlight.errors import EngineOptionError

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"

ENDPOINTS: Mapping[Operation, str] = {
    Operation.CHAT: "/chat/completions",
    Operation.COMPLETIONS: "/completions",
    Operation.EMBEDDINGS: "/embeddings",
    Operation.RESPONSES: "/responses",
    Operation.RERANK: "/rerank",
}
_USUAL = frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One remote model's; the key itself is in none of them."""

    base_url: str = option(OPENAI, kinds.url(), "where the API is, with its /v1")
    api_key_env: str | None = option(
        None, kinds.variable(), "environment variable that holds the key", hidden=True
    )
    organization: str | None = option(None, plain.text(), "sent as OpenAI-Organization")
    project: str | None = option(None, plain.text(), "sent as OpenAI-Project")
    headers: tuple[tuple[str, str], ...] = option(
        (), kinds.headers(), "further headers to send", hidden=True
    )
    timeout: float = option(120.0, kinds.duration(), "longest wait for the next byte of an answer")
    max_concurrency: int = option(16, plain.whole(1, 4096), "requests sent at once")
    context: int | None = option(
        None, plain.whole(1), "tokens one request may use, prompt and answer together"
    )
    operations: frozenset[Operation] = option(
        _USUAL, kinds.operations(ENDPOINTS), "what the endpoint does"
    )
    parameters: frozenset[str] | None = option(
        None, kinds.words(), "request fields it honours beyond the usual; else OpenAI's own"
    )
    tools: bool = option(True, plain.switch(), "the model calls tools")
    vision: bool = option(True, plain.switch(), "the model reads images")
    ready: str = option("/models", kinds.path(), "a GET of this costs nothing and answers 200")
    usd_per_mtok_in: float | None = option(
        None, plain.real(0), "dollars per million tokens of the prompt"
    )
    usd_per_mtok_out: float | None = option(
        None, plain.real(0), "dollars per million tokens of the answer"
    )
    usd_per_mtok_cached: float | None = option(
        None, plain.real(0), "dollars per million tokens of the prompt that were cached"
    )

    @property
    def price(self) -> Price | None:
        if self.usd_per_mtok_in is None or self.usd_per_mtok_out is None:
            return None
        return Price(self.usd_per_mtok_in, self.usd_per_mtok_out, self.usd_per_mtok_cached)


def complete(given: Mapping[str, Any], engine: str = "openai") -> Options:
    """`given`, checked. Raises EngineOptionError by name."""
    reader = Reader(engine)
    options = reader.read(Options, given)
    _reject_half_a_price(options, engine)
    if options.api_key_env is None and options.base_url == OPENAI:
        return replace(options, api_key_env=OPENAI_KEY)
    return options


def _reject_half_a_price(options: Options, engine: str) -> None:
    both = {
        "usd_per_mtok_in": options.usd_per_mtok_in,
        "usd_per_mtok_out": options.usd_per_mtok_out,
    }
    missing = [name for name, value in both.items() if value is None]
    if len(missing) == 1 or (missing and options.usd_per_mtok_cached is not None):
        raise EngineOptionError(
            f"the {engine} option {missing[0]!r} is missing, and half a price is none",
            hint="give usd_per_mtok_in and usd_per_mtok_out, or neither",
        )
    if (options.usd_per_mtok_cached or 0) > (options.usd_per_mtok_in or 0):
        raise EngineOptionError(
            f"the {engine} option 'usd_per_mtok_cached' is {options.usd_per_mtok_cached!r}, over "
            f"'usd_per_mtok_in', which is {options.usd_per_mtok_in!r}",
            hint="what was cached costs no more than what wasn't: correct one of them",
        )
