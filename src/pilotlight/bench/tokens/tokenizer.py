"""What counts a model's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """One model's own way to count.

    `count` is of the text alone: nothing that starts a sequence and no chat template. Texts are
    plain: what looks like a special token is counted as the model's server would read it.
    """

    @property
    def source(self) -> str:
        """For the report: who counted, such as `/tokenize` of a server."""
        ...

    async def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has.

        Raises:
            ServerError: the server that counts can't be reached, or doesn't count.
        """
        ...
