"""Who counts for a served model: the surest that is there."""

from __future__ import annotations

from pilotlight.bench.target import Target
from pilotlight.bench.tokens.served import server_tokenizer, usage_tokenizer
from pilotlight.bench.tokens.tokenizer import Tokenizer


async def find_tokenizer(target: Target) -> Tokenizer:
    """The server's own count, else what its usage says. Starts the model where it isn't running.

    Raises ServerError: it can't be reached, or tells neither.
    """
    return await server_tokenizer(target) or await usage_tokenizer(target)
