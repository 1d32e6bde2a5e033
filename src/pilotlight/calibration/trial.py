"""One engine with one model, asked in tokens: how long a prompt takes, and a step of many answers.

It goes the way the product goes, from the fleet to the engine's own socket, so that what is
measured is what a client would get.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pilotlight.calibration.quiet import Watch
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import Engine, EngineProcess, ModelJob, read_whole
from pilotlight.errors import CalibrationError
from pilotlight.fleet.base import Fleet

PATH = "/completion"
_EVENT = b"data: "
_seats = itertools.count(1)


class Trial:
    """An engine process that serves `path`; ends with the ``async with`` it is entered by.

    `options` are the engine's own, as `Engine.options` returned them. The methods take turns:
    nothing else may be asked of it meanwhile.
    """

    def __init__(
        self, engine: Engine, fleet: Fleet, path: Path, options: Any, *, vocabulary: int
    ) -> None:
        self._engine = engine
        self._fleet = fleet
        files = ModelFiles(ModelRef("file", str(path)), path, path.stat().st_size)
        self._job = ModelJob("calibration", files, options)
        self._tokens = random.Random(path.name)
        self._vocabulary = vocabulary
        self._process: EngineProcess | None = None

    async def __aenter__(self) -> Self:
        seat = self._fleet.seat(f"calibrate{next(_seats)}")
        self._process = await self._fleet.launch(self._engine.command(seat, self._job))
        try:
            await self._engine.load(self._process, self._job)
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.process.stop()

    @property
    def process(self) -> EngineProcess:
        assert self._process is not None, "it was entered"
        return self._process

    def watch(self) -> Watch:
        """Of what everybody but this engine does."""
        return Watch(self.process.pid)

    async def prefill_s(self, tokens: int) -> float:
        """From sending a prompt of so many tokens to its first token, with nothing beside it."""
        began = time.perf_counter()
        exchange = await self.process.client.open(PATH, self._request(tokens, 1, stream=False))
        answer = await read_whole(exchange)
        ended = time.perf_counter()
        if exchange.status != 200:
            raise _refused(answer)
        return ended - began

    async def step_s(self, sequences: int, prompt: int, answer: int) -> float:
        """One step of `sequences` answers at once, by the engine's own clock.

        The first to start waits for the prompts of others, the last to end has nobody beside it:
        the median of them is neither.
        """
        asked = (self._answer_s(prompt, answer) for _ in range(sequences))
        return float(statistics.median(await asyncio.gather(*asked)))

    async def _answer_s(self, prompt: int, answer: int) -> float:
        """Seconds for each token after the first. Streamed, for that costs the engine time too."""
        exchange = await self.process.client.open(PATH, self._request(prompt, answer, stream=True))
        said = await read_whole(exchange)
        last = said.rstrip().rpartition(_EVENT)[2]
        if exchange.status != 200 or not last:
            raise _refused(said)
        timings = json.loads(last)["timings"]
        return float(timings["predicted_ms"] / 1000 / (timings["predicted_n"] - 1))

    def _request(self, prompt: int, answer: int, *, stream: bool) -> bytes:
        request = {
            "prompt": [self._tokens.randrange(self._vocabulary - 1) for _ in range(prompt)],
            "n_predict": answer,
            "stream": stream,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        return json.dumps(request).encode()


def _refused(answer: bytes) -> CalibrationError:
    return CalibrationError(
        f"the engine refused a request of the calibration: {answer[:200].decode(errors='replace')}",
        hint="look at its log, or calibrate with another build of the engine",
    )
