"""Classes that the tests serve: in a process of their own, which imports nothing of ours."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

STORY_WORDS = 400


class TooLong(Exception):
    status = 400
    code = "context_length_exceeded"
    param = "messages"


class Storyteller:
    """A language model as far as a client can tell; it holds memory until it is torn down."""

    capabilities: ClassVar[dict[str, Any]] = {"context": 512, "parameters": ["max_tokens", "top_k"]}

    def __init__(self, context: int = 512) -> None:
        self.context = context

    async def setup(self) -> None:
        self.weights = bytearray(os.urandom(1) * (32 * 2**20))

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[Any]:
        asked = sum(len(str(message["content"]).split()) for message in request["messages"])
        if asked > self.context:
            raise TooLong(f"the prompt has {asked} tokens and the model's context {self.context}")
        told = min(request.get("max_tokens") or STORY_WORDS, STORY_WORDS)
        for number in range(told):
            await asyncio.sleep(0.001)
            yield f"word{number} "
        yield {
            "finish_reason": "length" if told < STORY_WORDS else "stop",
            "usage": {"prompt_tokens": asked, "completion_tokens": told},
        }

    def teardown(self) -> None:
        del self.weights


class Sync:
    """Plain functions only; it tells which thread each ran in."""

    def setup(self) -> None:
        self.threads = [threading.get_ident()]
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(request.get("takes_s", 0))
        if "gates" in request:
            entered, leave = request["gates"]
            with open(entered, "w"), open(leave):
                """Two named pipes: whoever reads the first and writes the second lets us go."""
        with self.lock:
            self.under_way -= 1
        self.threads.append(threading.get_ident())
        return {"echo": request, "threads": len(set(self.threads)), "most": self.most}

    def generate(self, request: dict[str, Any]) -> Iterator[str]:
        yield from ("one ", "two ", "three")

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 0.5] for text in texts]


class Careless:
    """Fails in every way that Python has; the engine must outlive all but the last."""

    def predict(self, request: dict[str, Any]) -> Any:
        return getattr(self, request["how"])()

    def key(self) -> Any:
        return {}["text"]

    def exit(self) -> Any:
        sys.exit("I am done")

    def stop(self) -> Any:
        return next(iter(()))

    def unwritable(self) -> Any:
        return {1, 2}

    def not_a_number(self) -> Any:
        return float("nan")

    def refuse(self) -> Any:
        error = ValueError("the text is empty")
        error.status = 422  # type: ignore[attr-defined]
        error.param = "text"  # type: ignore[attr-defined]
        raise error

    def crash(self) -> Any:
        os._exit(7)

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[Any]:
        how = request["messages"][-1]["content"]
        yield "fine so far"
        if how == "exit":
            sys.exit("I am done")
        if how == "number":
            yield 7
        raise RuntimeError(how)


class Caller:
    """Calls a tool, thinks first, and says whether a stream of its was closed."""

    capabilities: ClassVar[dict[str, Any]] = {"tools": True, "thinking": True}
    closed = 0

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[Any]:
        if request["messages"][-1]["content"] == "wait":
            try:
                yield "waiting"
                await asyncio.Event().wait()
            finally:
                Caller.closed += 1
        yield {"reasoning_content": "Let me look."}
        head = {"index": 0, "id": "call_1", "type": "function"}
        yield {"tool_calls": [{**head, "function": {"name": "look", "arguments": '{"at":'}}]}
        yield {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]}

    def predict(self, request: dict[str, Any]) -> Any:
        return {"closed": Caller.closed}


class Settings:
    """What it was made with, and where it runs."""

    def __init__(self, *, size: int, **more: Any) -> None:
        self.made_with = {"size": size, **more}

    example: ClassVar[dict[str, Any]] = {"hello": 1}

    def setup(self) -> None:
        self.asked: list[Any] = []

    def predict(self, request: dict[str, Any]) -> Any:
        self.asked.append(request)
        return {
            "made_with": self.made_with,
            "asked": self.asked,
            "python": sys.executable,
            "secret": sorted(name for name in os.environ if name.startswith("ENGINE_")),
            "colour": os.environ.get("COLOUR"),
            "ours": sorted(name for name in sys.modules if name.startswith("pilotlight.")),
        }


class FailsToStart:
    def setup(self) -> None:
        raise FileNotFoundError("weights.bin is not here")

    def predict(self, request: Any) -> Any:
        return None


class DiesAtStart:
    def setup(self) -> None:
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)

    def predict(self, request: Any) -> Any:
        return None


class Promises:
    capabilities: ClassVar[dict[str, Any]] = {"operations": ["chat"]}


class Idle:
    """Nothing to ask."""


class TornDown:
    def __init__(self, trace: str) -> None:
        self.trace = trace

    def predict(self, request: Any) -> Any:
        return {}

    def teardown(self) -> None:
        with open(self.trace, "a") as trace:
            trace.write("down\n")
