"""What happens to a transfer, and what it then wants done: frozen data, both ways."""

from __future__ import annotations

from dataclasses import dataclass

ORIGIN = 0
"""The source that has everything and that the file is described by; others are peers."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A lane's answer has begun. Without `ranges` its source sends everything or nothing."""

    lane: int
    size_bytes: int | None
    ranges: bool


@dataclass(frozen=True, slots=True)
class Received:
    """New bytes of `chunk`; `filled_bytes` of it are there now."""

    lane: int
    chunk: int
    filled_bytes: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """All bytes of `chunk` are there, hashed, and not known to be wrong."""

    lane: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The bytes of `chunk` are wrong, and dropped; the lane is closed."""

    lane: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The end of a file whose size nobody had said."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The lane brought its whole run."""

    lane: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The lane broke off, or its source was `busy`; another try may help."""

    lane: int
    busy: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The lane's source will never give this."""

    lane: int


@dataclass(frozen=True, slots=True)
class Offered:
    """A peer has these chunks now, and lets us have so many lanes at once; none: it left."""

    source: int
    chunks: frozenset[int]
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Granted:
    """What the origin may be asked for from now on, by leases; None: anything."""

    chunks: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


Event = (
    Opened | Received | Arrived | Rejected | Measured | Ended | Failed | Refused | Offered
    | Granted | Ticked
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Open:
    """Ask `source` for chunks `first` up to but without `last`, or to the end.

    A race brings one chunk that another lane is slow with: its bytes stay apart until
    it has won.
    """

    lane: int
    source: int
    first: int
    last: int | None
    race: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    lane: int


@dataclass(frozen=True, slots=True)
class Keep:
    """This lane's bytes are the chunk: they go into the file, and nobody else's do."""

    lane: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Every chunk is kept."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """What is missing can't be had; `lane` said why."""

    lane: int


Decision = Open | Cancel | Keep | Finish | GiveUp
