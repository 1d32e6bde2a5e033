"""What was turned down, put together: a family is turned down when none of it is left.

A platform, a kind of hardware, an engine, a quantization, and at last a quantization on hardware
that others do run on. The member that came nearest gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pilotlight.planner.candidates import Candidate
from pilotlight.planner.hardware import short_title
from pilotlight.planner.plan import Rejection
from pilotlight.planner.refusal import Refusal

Family = tuple[str, ...]


def _hardware(candidate: Candidate) -> str:
    hardware = candidate.hardware
    if hardware.gpu is None:
        return "processors alone"
    return hardware.name


def _variant(candidate: Candidate) -> str:
    return f"{candidate.variant.model.name} {candidate.variant.quantization.name}"


_DIMENSIONS: tuple[Callable[[Candidate], str], ...] = (
    lambda candidate: candidate.rentable.platform.title,
    lambda candidate: candidate.engine.name,
    _hardware,
    _variant,
    lambda candidate: f"{_variant(candidate)} on {_hardware(candidate)}",
)
"""From the widest families to the narrowest: what a wide one says needn't be said again."""


@dataclass(slots=True)
class _Group:
    candidates: int = 0
    served: bool = False
    nearest: tuple[Candidate, Refusal] | None = None

    def add(self, candidate: Candidate, refusal: Refusal | None) -> None:
        self.candidates += 1
        if refusal is None:
            self.served = True
        elif self.nearest is None or refusal.distance < self.nearest[1].distance:
            self.nearest = (candidate, refusal)


@dataclass(slots=True)
class Verdicts:
    """Collects what became of every candidate."""

    _seen: list[tuple[Candidate, Refusal | None]] = field(default_factory=list)

    def add(self, candidate: Candidate, refusal: Refusal | None) -> None:
        """None: it became a plan."""
        self._seen.append((candidate, refusal))

    @property
    def count(self) -> int:
        return len(self._seen)

    def rejections(self) -> tuple[Rejection, ...]:
        """The families of which nothing is left, wide ones first, each with its nearest miss."""
        left = list(self._seen)
        found: list[Rejection] = []
        for dimension in _DIMENSIONS:
            groups = _grouped(left, dimension)
            gone = {name: group for name, group in groups.items() if not group.served}
            if len(gone) == len(groups) and dimension is not _DIMENSIONS[0]:
                continue  # nothing at all is left: the platforms have said why
            found += _told(gone, dimension) if dimension is not _DIMENSIONS[-1] else _pairs(gone)
            left = [pair for pair in left if dimension(pair[0]) not in gone]
        return tuple(found)


def _grouped(
    seen: Iterable[tuple[Candidate, Refusal | None]], dimension: Callable[[Candidate], str]
) -> Mapping[str, _Group]:
    groups: dict[str, _Group] = {}
    for candidate, refusal in seen:
        groups.setdefault(dimension(candidate), _Group()).add(candidate, refusal)
    return groups


def _told(gone: Mapping[str, _Group], dimension: Callable[[Candidate], str]) -> Iterator[Rejection]:
    for name, group in gone.items():
        assert group.nearest is not None, "a family without plans has a refusal"
        candidate, refusal = group.nearest
        yield Rejection(
            family=name,
            reason=f"{refusal.reason}{_of_which(candidate, dimension)}",
            candidates=group.candidates,
            kind=refusal.kind,
        )


def _pairs(gone: Mapping[str, _Group]) -> Iterator[Rejection]:
    """One line for all hardware that lacks what a quantization needs; the others each their own."""
    lacking: dict[tuple[str, str], list[tuple[Candidate, _Group]]] = {}
    for name, group in gone.items():
        assert group.nearest is not None, "a family without plans has a refusal"
        candidate, refusal = group.nearest
        if refusal.kind == "engine":
            lacking.setdefault((_variant(candidate), refusal.reason), []).append((candidate, group))
        else:
            yield from _told({name: group}, _DIMENSIONS[-1])
    for (variant, reason), members in lacking.items():
        names = dict.fromkeys(_device(candidate) for candidate, _ in members)
        yield Rejection(
            family=f"{variant} on {', '.join(names)}",
            reason=reason,
            candidates=sum(group.candidates for _, group in members),
            kind="engine",
        )


def _device(candidate: Candidate) -> str:
    gpu = candidate.hardware.gpu
    return "processors alone" if gpu is None else short_title(gpu)


def _of_which(candidate: Candidate, dimension: Callable[[Candidate], str]) -> str:
    """The member that the reason is about, as far as the family's name doesn't tell."""
    variant, hardware = _variant(candidate), _hardware(candidate)
    if dimension in (_DIMENSIONS[0], _DIMENSIONS[1]):
        return f" ({variant}, {hardware})"
    if dimension is _hardware:
        return f" ({variant})"
    return f" ({hardware})" if dimension is _variant else ""
