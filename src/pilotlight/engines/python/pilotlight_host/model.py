"""The user's class: made, set up, asked, torn down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any

from .finding import find
from .refusal import Failed, LoadError, log, refusal_of, words
from .worker import Worker

METHODS = {"chat": "generate", "embeddings": "embed", "predict": "predict"}
"""The method behind each operation."""


class Model:
    """One instance of the class, from `setup` to `teardown`."""

    def __init__(self, name: str, instance: Any, worker: Worker) -> None:
        self.name = name
        self.progress = 0
        """Grows with every piece of work done; the watchdog's sign of life."""

        self._instance = instance
        self._worker = worker

    @classmethod
    async def load(cls, order: Mapping[str, Any]) -> Model:
        """Raises LoadError in the words of the user's own code."""
        kind = find(order["target"])
        worker = Worker(order["parallel"])
        try:
            instance = await _step(worker, "making", kind, partial(kind, **order["kwargs"]))
            _check(kind, order["needs"])
            if hasattr(instance, "setup"):
                await _step(worker, "setup of", kind, instance.setup)
        except LoadError:
            worker.end()
            raise
        return cls(order["model"], instance, worker)

    async def unload(self) -> None:
        """A teardown that fails is logged: what it held goes with the instance."""
        teardown = getattr(self._instance, "teardown", None)
        self._instance = None
        if teardown is not None:
            try:
                await self._worker.call(teardown)
            except Failed as failure:
                log(failure.cause)
            except asyncio.CancelledError as error:
                log(error)
        self._worker.end()

    def can(self, operation: str) -> bool:
        return callable(getattr(self._instance, METHODS[operation], None))

    @property
    def example(self) -> Any:
        """A request that the class knows it can answer, if it names one."""
        return getattr(self._instance, "example", None)

    async def ask(self, operation: str, request: Any) -> Any:
        """The whole answer of a method that gives one. Raises Refusal."""
        method = METHODS[operation]
        async with self._worker.turns:
            try:
                return await self._worker.call(getattr(self._instance, method), request)
            except Failed as failure:
                raise refusal_of(method, failure.cause) from None
            finally:
                self.progress += 1

    async def pieces(self, request: Any) -> AsyncGenerator[Any, None]:
        """What `generate` gives, piece by piece; closing this closes that. Raises Refusal."""
        async with self._worker.turns:
            try:
                source = await self._worker.call(self._instance.generate, request)
                steps = self._worker.each(_iterable(source))
                try:
                    async for piece in steps:
                        self.progress += 1
                        yield piece
                finally:
                    await steps.aclose()
            except Failed as failure:
                raise refusal_of("generate", failure.cause) from None


async def _step(worker: Worker, what: str, kind: type, act: Callable[[], Any]) -> Any:
    try:
        return await worker.call(act)
    except Failed as failure:
        log(failure.cause)
        raise LoadError(f"{what} {kind.__name__} failed: {words(failure.cause)}") from None


def _check(kind: type, needs: list[str]) -> None:
    """Its methods against what is promised to clients. Raises LoadError."""
    if not any(callable(getattr(kind, method, None)) for method in METHODS.values()):
        raise LoadError(
            f"{kind.__name__} has nothing to ask", f"give it one of {', '.join(METHODS.values())}"
        )
    for operation in needs:
        if not callable(getattr(kind, METHODS[operation], None)):
            raise LoadError(
                f"{kind.__name__} has no {METHODS[operation]}, which {operation} needs",
                "correct the operations in its capabilities",
            )


def _iterable(source: Any) -> Any:
    """A whole answer is an iterator of one."""
    if isinstance(source, (str, dict)):
        return (source,)
    if hasattr(source, "__aiter__") or hasattr(source, "__iter__"):
        return source
    raise Failed(TypeError(f"it returned {type(source).__name__}, expected an iterator of str"))
