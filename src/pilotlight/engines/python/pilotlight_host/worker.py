"""Runs the user's functions: coroutines on the loop, plain ones in threads, so many at once.

With one request at a time every plain function, `setup` included, runs in one and
the same thread, which is what libraries bound to a thread need.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from .refusal import Failed, log

_END = object()


class Worker:
    """`turns` bounds the requests under way; the threads also bound those nobody waits for."""

    def __init__(self, parallel: int) -> None:
        self.turns = asyncio.Semaphore(parallel)
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="model")

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What `function` returns, awaited where that is needed. Raises Failed."""
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            result = _guarded(function, arguments)
        else:
            result = await self._in_thread(function, *arguments)
        return await _awaited(result) if inspect.isawaitable(result) else result

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return asyncio.wrap_future(self._threads.submit(_guarded, function, arguments))

    def each(self, source: Any) -> AsyncGenerator[Any, None]:
        """What an iterator of either kind gives; closing this closes it. Raises Failed."""
        return self._async(source) if hasattr(source, "__aiter__") else self._plain(iter(source))

    async def _async(self, source: Any) -> AsyncGenerator[Any, None]:
        try:
            async for piece in source:
                yield piece
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise Failed(error) from error
        finally:
            if hasattr(source, "aclose"):
                await source.aclose()

    async def _plain(self, source: Iterator[Any]) -> AsyncGenerator[Any, None]:
        step: Future[Any] = Future()
        step.set_result(None)
        try:
            while True:
                step = self._threads.submit(_guarded, next, (source, _END))
                piece = await asyncio.wrap_future(step)
                if piece is _END:
                    return
                yield piece
        finally:
            # A step under way can't be stopped, and an iterator can't be closed during one.
            # Its turn lasts until it is closed: the next one may want a lock that it holds,
            # in the very thread that is to close it.
            await _ended(step)
            await self._close(source)

    async def _close(self, source: Any) -> None:
        close = getattr(source, "close", None)
        if close is None:
            return
        try:
            await self._in_thread(close)
        except Failed as failure:
            log(failure.cause)
        except RuntimeError:
            pass  # the model is being unloaded, and its iterators go with it

    def end(self) -> None:
        """Lets the threads go, without waiting for what they are at."""
        self._threads.shutdown(wait=False)


def _guarded(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """StopIteration would hang a future, and SystemExit the loop: all become Failed."""
    try:
        return function(*arguments)
    except BaseException as error:
        raise Failed(error) from error


async def _ended(step: Future[Any]) -> None:
    """Returns when `step` has ended, however that was."""
    waiting = asyncio.wrap_future(step)
    await asyncio.wait([waiting])
    if not waiting.cancelled():
        waiting.exception()  # was told already, to whoever waited for the step


async def _awaited(result: Any) -> Any:
    try:
        return await result
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise Failed(error) from error
