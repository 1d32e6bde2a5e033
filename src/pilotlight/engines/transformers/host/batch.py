"""Answers decoded together: rows come when their prompt is read and leave when they end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache

from . import cache as caches
from .failure import failure_of
from .forward import Forward
from .row import Row
from .sampling import choose


def _accept(rows: Sequence[Row], scores: torch.Tensor) -> None:
    """A token for each row. One that can't choose its own ends alone: the cache is whole."""
    best = scores.argmax(dim=-1).tolist()
    for row, own, likeliest in zip(rows, scores, best, strict=True):
        try:
            row.accept(choose(row.sampler, own, likeliest))
        except Exception as error:
            if not row.done:
                row.fail(failure_of(error))


class Prefill:
    """One prompt, read in pieces so that answers under way go on in between."""

    def __init__(self, row: Row, cache: DynamicCache) -> None:
        self.row = row
        self.cache = cache
        self._read = 0

    def step(self, forward: Forward, piece: int) -> bool:
        """Read the next `piece` tokens; after the last, choose the first token. True when done."""
        tokens = self.row.prompt[self._read : self._read + piece]
        scores = forward([tokens], self.cache)
        self._read += len(tokens)
        if self._read < len(self.row.prompt):
            return False
        _accept([self.row], scores)
        return True


class Batch:
    """Rows in step, each one token ahead of what the cache holds of it."""

    def __init__(self, forward: Forward) -> None:
        self.rows: list[Row] = []
        self._forward = forward
        self._cache: DynamicCache | None = None
        self._width = 0

    def add(self, row: Row, cache: DynamicCache) -> None:
        self.rows.append(row)
        if self._cache is None:
            self._cache, self._width = cache, cache.get_seq_length()
            return
        caches.join(self._cache, cache)
        self._width = max(self._width, cache.get_seq_length())

    def drop_done(self) -> None:
        kept = [index for index, row in enumerate(self.rows) if not row.done]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[index] for index in kept]
        if not self.rows:
            self.clear()
            return
        self._width = max(self._held(row) for row in self.rows)
        assert self._cache is not None
        caches.keep(self._cache, kept, self._width)

    def clear(self) -> None:
        self.rows, self._cache, self._width = [], None, 0

    def step(self) -> None:
        assert self._cache is not None
        tokens = [[row.last] for row in self.rows]
        held = [self._held(row) for row in self.rows]
        mask = None if min(held) == self._width else self._mask(held)
        positions = [[count] for count in held]
        scores = self._forward(tokens, self._cache, mask, positions)
        self._width += 1
        _accept(self.rows, scores)

    def _held(self, row: Row) -> int:
        """Columns of `row` in the cache: all but its newest token."""
        return row.length - 1

    def _mask(self, held: list[int]) -> torch.Tensor:
        """1 where a row has a token, with the column that this step adds."""
        columns = torch.arange(self._width + 1, device=self._forward.device)
        padding = torch.tensor([[self._width - count] for count in held], device=columns.device)
        return (columns >= padding).long()
