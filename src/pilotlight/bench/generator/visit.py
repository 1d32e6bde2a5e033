"""Conversations: the turns of a session in order, each with what was said before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice

from pilotlight.bench.ask import Ask
from pilotlight.bench.generator.exchange import Exchange


class Visit:
    """Somebody's turns; most come for one. `body` is the next turn's, made beforehand."""

    __slots__ = ("_history", "_model", "_turns", "body", "count")

    def __init__(self, turns: Iterable[Ask], model: str) -> None:
        self._turns = deque(turns)
        self._model = model
        self._history: tuple[Mapping[str, str], ...] = ()
        self.count = len(self._turns)
        self.body = self.ask.body(model)

    @property
    def ask(self) -> Ask:
        return self._turns[0]

    @property
    def is_new(self) -> bool:
        return not self._history

    @property
    def left(self) -> int:
        """Turns after this one."""
        return len(self._turns) - 1

    def answered(self, text: str) -> None:
        """On to the next turn, which there must be."""
        said = self._turns.popleft()
        self._history = (
            *self._history,
            {"role": "user", "content": str(said.content)},
            {"role": "assistant", "content": text},
        )
        self.body = self.ask.body(self._model, self._history)


class Turn:
    """One ask of a visit on its way: when it was due, and its exchange."""

    __slots__ = ("ask", "deadline_s", "due_s", "exchange", "index", "visit", "warmup")

    def __init__(
        self,
        index: int,
        due_s: float,
        visit: Visit,
        exchange: Exchange,
        *,
        deadline_s: float,
        warmup: bool,
    ) -> None:
        self.index = index
        self.due_s = due_s
        self.visit = visit
        self.ask = visit.ask
        self.exchange = exchange
        self.deadline_s = deadline_s
        self.warmup = warmup


class Visits:
    """A workload's asks as visits, some made ahead so that making one doesn't delay its sending."""

    def __init__(self, asks: Iterable[Ask], model: str) -> None:
        self._rest = self._grouped(iter(asks), model)
        self._ahead: deque[Visit] = deque()

    def _grouped(self, asks: Iterator[Ask], model: str) -> Iterator[Visit]:
        """Of asks without a session each is its own."""
        numbered = enumerate(asks)
        for _, turns in groupby(numbered, lambda item: (item[1].session, _apart(*item))):
            yield Visit((ask for _, ask in turns), model)

    def prepare(self, ahead: int) -> bool:
        """Make one more if fewer than `ahead` are ready; whether there was anything to do."""
        if len(self._ahead) >= ahead:
            return False
        made = list(islice(self._rest, 1))
        self._ahead.extend(made)
        return bool(made)

    def next(self) -> Visit | None:
        """None when the workload has ended."""
        return self._ahead.popleft() if self._ahead else next(self._rest, None)


def _apart(number: int, ask: Ask) -> int | None:
    return number if ask.session is None else None
