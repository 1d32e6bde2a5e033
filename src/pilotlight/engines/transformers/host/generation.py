"""The one thread that computes: takes rows in, reads prompts, decodes, lets finished rows go."""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import torch

from . import alone
from . import cache as caches
from .batch import Batch, Prefill
from .failure import Failure, failure_of
from .forward import Forward
from .row import Row

T = TypeVar("T")
Work = Callable[[], None]


class Generation:
    """Rows are submitted from any thread; only `run`'s thread touches the model."""

    def __init__(self, model: Any, *, parallel: int, piece: int) -> None:
        """At most `parallel` answers at once, prompts in pieces of `piece` tokens."""
        self.progress = 0
        self._model = model
        self._forward = Forward(model)
        self._parallel = parallel
        self._piece = piece
        self._inbox: queue.SimpleQueue[Row | Work | None] = queue.SimpleQueue()
        self._waiting: deque[Row] = deque()
        self._batch = Batch(self._forward)
        self._prefill: Prefill | None = None
        self._joins = model.can_generate() and self._keeps_columns()
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)

    def _keeps_columns(self) -> bool:
        """Whether the model takes the general cache, and that is nothing but columns."""
        if self._model.config.is_encoder_decoder:
            return False
        # Jamba, RWKV and their like say so in the class, whatever their configuration says.
        if self._model._is_stateful or not self._model._supports_default_dynamic_cache():
            return False
        return caches.is_joinable(caches.fresh(self._model.config))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended; rows under way are left as they are."""
        self._inbox.put(None)
        self._thread.join()

    def submit(self, row: Row) -> None:
        self._inbox.put(row)

    def compute(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` done by the thread, between two steps of the answers under way."""
        future: Future[T] = Future()

        def perform() -> None:
            if not future.set_running_or_notify_cancel():
                return  # whoever asked has left
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

        self._inbox.put(perform)
        return future

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._take():
                    self._turn()
        except BaseException:
            # Without this thread everybody would wait for ever: a crash is seen and mended.
            traceback.print_exc(file=sys.stderr)
            os._exit(1)

    def _take(self) -> bool:
        """Everything that has come; waits only when there is nothing else to do."""
        while True:
            busy = self._waiting or self._batch.rows or self._prefill
            try:
                item = self._inbox.get(block=not busy)
            except queue.Empty:
                return True
            if item is None:
                return False
            if isinstance(item, Row):
                self._waiting.append(item)
            else:
                item()
            self.progress += 1

    def _turn(self) -> None:
        try:
            self._advance()
        except Exception as error:
            self._fail(failure_of(error))

    def _advance(self) -> None:
        self._batch.drop_done()
        self._begin()
        if self._prefill is not None:
            self._read_on(self._prefill)
        if self._batch.rows:
            self._batch.step()
            self.progress += 1

    def _begin(self) -> None:
        while self._waiting and self._prefill is None and len(self._batch.rows) < self._parallel:
            row = self._waiting.popleft()
            if row.done:
                continue
            if not self._joins:
                self._answer_alone(row)
                return
            self._prefill = Prefill(row, caches.fresh(self._model.config))

    def _answer_alone(self, row: Row) -> None:
        try:
            alone.answer(self._model, row, row.limit, self._moved)
        except Exception as error:
            if not row.done:
                row.fail(failure_of(error))

    def _moved(self) -> None:
        self.progress += 1

    def _read_on(self, prefill: Prefill) -> None:
        if prefill.row.cancelled:
            self._prefill = None
            return
        try:
            done = prefill.step(self._forward, self._piece)
        except Exception as error:  # its cache is its own: the others' answers go on
            self._prefill = None
            prefill.row.fail(failure_of(error))
            return
        self.progress += 1
        if done:
            self._prefill = None
            if not prefill.row.done:
                self._batch.add(prefill.row, prefill.cache)

    def _fail(self, failure: Failure) -> None:
        """What was under way is lost: after an error halfway, the cache is worth nothing."""
        rows = [*self._batch.rows, *([self._prefill.row] if self._prefill else [])]
        self._batch.clear()
        self._prefill = None
        for row in rows:
            if not row.done:
                row.fail(failure)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
