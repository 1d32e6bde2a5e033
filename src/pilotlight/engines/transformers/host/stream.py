"""Rows as asyncio sees them: pieces from the computing thread, and rows that nobody wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from .failure import Failure
from .generation import Generation
from .refusal import Refusal
from .row import Emit, Piece, Row

Make = Callable[[Emit], Row]


async def pieces(generation: Generation, rows: list[Make]) -> AsyncGenerator[tuple[int, Piece]]:
    """All pieces of all rows, as they come; whoever stops iterating ends the rows.

    Raises:
        Refusal: a row failed.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[tuple[int, Piece | Failure]] = asyncio.Queue()

    def emit_for(index: int) -> Emit:
        def emit(what: Piece | Failure) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it who would listen
                loop.call_soon_threadsafe(arrived.put_nowait, (index, what))

        return emit

    made = [make(emit_for(index)) for index, make in enumerate(rows)]
    for row in made:
        generation.submit(row)
    try:
        under_way = len(made)
        while under_way:
            index, what = await arrived.get()
            if isinstance(what, Failure):
                raise Refusal(what.message, kind=what.kind, status=what.status)
            under_way -= what.finish is not None
            yield index, what
    finally:
        for row in made:
            row.cancelled = True
