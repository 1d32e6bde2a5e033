"""Requests as columns: what is drawn, resampled and compared, in little space."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.bench.record import ErrorKind

Cell = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One row a request, in order of run and time; all columns have the same length.

    Of more requests than are kept, every n-th is there and `of` says how many they were.
    """

    of: int = 0
    run: tuple[int, ...] = ()
    scheduled_s: tuple[float, ...] = ()
    """On its run's clock."""

    ttft_ms: tuple[Cell, ...] = ()
    tpot_ms: tuple[Cell, ...] = ()
    e2e_ms: tuple[float, ...] = ()
    lag_ms: tuple[float, ...] = ()
    input_tokens: tuple[int | None, ...] = ()
    output_tokens: tuple[int | None, ...] = ()
    error: tuple[ErrorKind | None, ...] = ()
    cold: tuple[bool, ...] = ()
    counted: tuple[bool, ...] = ()
    """Whether the numbers hold it: in the window, and neither warm-up nor cold."""

    group: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scheduled_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The runs in equal pieces of time: a timeline, and what rates are resampled from."""

    seconds: float = 1.0
    """How long each is."""

    run: tuple[int, ...] = ()
    start_s: tuple[float, ...] = ()
    counted: tuple[bool, ...] = ()
    """Whether it lies in its run's window."""

    in_flight: tuple[float, ...] = ()
    completed: tuple[float, ...] = ()
    good: tuple[float, ...] = ()
    """Those that met the service level; as `completed` without one."""

    output_tokens: tuple[float, ...] = ()
    """Spread evenly from an answer's first token to its last."""

    input_tokens: tuple[float, ...] = ()
    """Spread evenly from sending to the answer's first token."""

    errors: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.start_s)
