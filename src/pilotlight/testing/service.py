"""One loaded model at work: answers of the brain, paced token by token in its slots.

The process in memory and the real one differ only in what they inject here: how
to wait, how to crash, where a test may hold a token back, and where bytes go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from pilotlight.testing.answer import Answer, Refusal, whole
from pilotlight.testing.brain import Brain
from pilotlight.testing.options import FakeOptions
from pilotlight.testing.slots import Slots

Sleep = Callable[[float], Awaitable[None]]
Write = Callable[[bytes], Awaitable[None]]
Gate = Callable[[str], Awaitable[None]]


async def _open_gate(point: str) -> None:
    """Nothing holds a real process back."""


class Service:
    """`crash` ends the process it is given by; it need not return."""

    def __init__(
        self,
        model: str,
        options: FakeOptions,
        *,
        sleep: Sleep,
        crash: Callable[[str], None],
        gate: Gate = _open_gate,
        adapters: Iterable[str] = (),
    ) -> None:
        self.slots = Slots(options.parallel, options.context)
        self._brain = Brain(model, options, frozenset(adapters))
        self._options = options
        self._sleep = sleep
        self._crash = crash
        self._gate = gate

    def answer(self, path: str, body: bytes | None) -> Answer:
        """A POST of `body`, or a GET without one."""
        if body is not None:
            return self._brain.answer(path, body)
        shown = _SHOWN.get(path)
        if shown is None:
            return Refusal(404, "not_found_error", f"File Not Found: {path}").answer()
        return shown(self)

    async def perform(self, answer: Answer, write: Write) -> None:
        """Write `answer` as its tokens come. Cancelling frees the slot at once."""
        if not answer.slotted:
            for chunk in answer.chunks:
                await write(chunk.data)
            return
        async with self.slots.take() as slot:
            made = 0
            for chunk in answer.chunks:
                for _ in range(chunk.tokens):
                    made += 1
                    await self._make_token(made)
                    slot.count_token()
                await write(chunk.data)

    async def _make_token(self, number: int) -> None:
        options = self._options
        if options.crash_after is not None and number > options.crash_after:
            self._crash(f"crash_after: {options.crash_after} tokens were made")
            await _for_ever()
        if options.stall_after is not None and number > options.stall_after:
            await _for_ever()
        await self._gate(f"token:{number}")
        # Even without a delay the other requests get their turn, so that streams
        # advance together and each event is a write of its own.
        await self._sleep(options.token_delay_ms / 1000)

    def _health(self) -> Answer:
        return whole({"status": "ok"})

    def _slots(self) -> Answer:
        return whole(self.slots.as_json())

    def _models(self) -> Answer:
        model = {"id": self._brain.model, "object": "model", "owned_by": "fake"}
        return whole({"object": "list", "data": [model]})


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


_SHOWN: Mapping[str, Callable[[Service], Answer]] = {
    "/health": Service._health,
    "/slots": Service._slots,
    "/v1/models": Service._models,
}
