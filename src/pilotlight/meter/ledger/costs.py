"""The ledger, read: what each key, model, adapter, replica or day used, and what that cost.

Reads only. What a running or a killed server wrote last is still in its journal; it is read there,
so figures are of all answers that were given until now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pilotlight.errors import ConfigError
from pilotlight.meter.ledger import journal
from pilotlight.meter.ledger.clerk import read_lines
from pilotlight.meter.ledger.database import FILE, JOURNAL, Database, snapshot
from pilotlight.meter.ledger.entry import Line
from pilotlight.meter.ledger.idling import Shared, over_days
from pilotlight.meter.ledger.sums import DAY_HOURS, HOUR_S, Books, Group, IdleSums, Sums


def _day(group: Group) -> str:
    return datetime.fromtimestamp(group.hour * HOUR_S, UTC).date().isoformat()


BY: Mapping[str, Callable[[Group], str]] = {
    "key": lambda group: group.key,
    "model": lambda group: group.model,
    "adapter": lambda group: f"{group.model}:{group.adapter}" if group.adapter else group.model,
    "replica": lambda group: group.replica,
    "day": _day,
}
"""What can be asked for. A request without a key, or one that got no replica, has an empty name."""


@dataclass(frozen=True, slots=True)
class Row:
    """All that one name used."""

    name: str
    sums: Sums
    sources: tuple[str, ...]
    """Who told the joules."""

    unmetered: int
    """Requests whose joules nobody knows; those of engines elsewhere are among them."""

    unpriced: int
    """Requests whose dollars nobody knows."""

    priced_output: int
    """Output tokens of those whose dollars are known, events of broken answers among them."""

    idle_uj: int = 0
    """Its part of what was idle."""

    idle_picousd: int = 0

    @property
    def energy_uj(self) -> int | None:
        """In all; None where nothing is known of any request."""
        if self.unmetered == self.sums.requests:
            return None
        return self.sums.energy_uj + self.sums.load_uj + self.idle_uj

    @property
    def cost_picousd(self) -> int | None:
        if self.unpriced == self.sums.requests:
            return None
        return self.sums.cost_picousd + self.sums.load_picousd + self.idle_picousd


@dataclass(frozen=True, slots=True)
class Costs:
    """`left` is idle that nobody pays for, by `idling`'s rule."""

    since_s: float
    rows: tuple[Row, ...]
    idle: IdleSums
    left_uj: int
    left_picousd: int
    idle_sources: tuple[str, ...]


def read(directory: Path, by: str, last_s: float, now_s: float | None = None) -> Costs:
    """Of the last seconds, from the full hour (UTC) in which they begin. `by` is one of `BY`.

    Raises:
        ConfigError: there is no ledger, or none that can be read.
    """
    now_s = time.time() if now_s is None else now_s
    since_hour = int(max(0.0, now_s - last_s)) // HOUR_S
    return costs(books(directory, since_hour), BY[by], since_hour)


def books(directory: Path, since_hour: int) -> Books:
    """The ledger's sums, and what is in journals that it hasn't got yet. Raises ConfigError."""
    path = directory / FILE
    if not path.exists():
        raise ConfigError(
            f"there is no ledger in {str(directory)!r}",
            hint="it begins with the first `pilotlight serve` on that data_dir",
        )
    # The journals first: what the ledger takes from them meanwhile, it then says it has.
    written = dict(_written(directory / JOURNAL))
    found, read_to = snapshot(path, since_hour)
    for name, data in written.items():
        lines = read_lines(data[read_to.get(name, 0) :], name)  # none, nearly always
        found.merge(_summed([line for line in lines if line.at_s >= since_hour * HOUR_S]))
    return found


def _summed(lines: Sequence[Line]) -> Books:
    scratch = Database.in_memory()
    try:
        return scratch.add("", 0, 0, lines) or Books.empty()
    finally:
        scratch.close()


def _written(directory: Path) -> Iterable[tuple[str, bytes]]:
    for path in journal.names(directory):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # the ledger has it by now
        yield path.name, data[: data.rfind(b"\n") + 1]


def costs(found: Books, name_of: Callable[[Group], str], since_hour: int) -> Costs:
    """Pure: sums by name, with idle shared out by day."""
    energy = _idle_paid(found, name_of, "energy_uj", _machine_energy)
    dollars = _idle_paid(found, name_of, "cost_picousd", _machine_dollars)
    grouped: dict[str, list[tuple[Group, Sums]]] = {}
    for group, sums in found.groups.items():
        grouped.setdefault(name_of(group), []).append((group, sums))
    idle = IdleSums()
    for part in found.idle.values():
        idle = idle.plus(part)
    return Costs(
        since_s=since_hour * HOUR_S,
        rows=tuple(_row(name, grouped[name], energy, dollars) for name in sorted(grouped)),
        idle=idle,
        left_uj=energy.left,
        left_picousd=dollars.left,
        idle_sources=tuple(sorted({group.source for group in found.idle if group.source})),
    )


def _row(
    name: str,
    parts: list[tuple[Group, Sums]],
    energy: Shared[str],
    dollars: Shared[str],
) -> Row:
    return Row(
        name=name,
        sums=Sums.total([sums for _, sums in parts]),
        sources=tuple(sorted({group.source for group, _ in parts if group.source})),
        unmetered=sum(sums.requests for group, sums in parts if not group.source),
        unpriced=sum(sums.requests for group, sums in parts if not group.basis),
        priced_output=sum(sums.output_tokens for group, sums in parts if group.basis),
        idle_uj=energy.by.get(name, 0),
        idle_picousd=dollars.by.get(name, 0),
    )


def _idle_paid(
    found: Books,
    name_of: Callable[[Group], str],
    field: str,
    weight_of: Callable[[Group, Sums], int],
) -> Shared[str]:
    amounts: dict[int, int] = {}
    for idle_group, idle in found.idle.items():
        day = idle_group.hour // DAY_HOURS
        amounts[day] = amounts.get(day, 0) + int(getattr(idle, field))
    weights = (
        (group.hour // DAY_HOURS, name_of(group), weight_of(group, sums))
        for group, sums in found.groups.items()
    )
    return over_days(amounts, weights)


def _machine_energy(group: Group, sums: Sums) -> int:
    return sums.energy_uj + sums.load_uj


def _machine_dollars(group: Group, sums: Sums) -> int:
    return sums.cost_picousd + sums.load_picousd if group.basis == "machine" else 0
