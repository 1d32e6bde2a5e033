"""Which models go when the store is to shrink: a pure decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """One model as house-keeping sees it."""

    key: str
    blobs: Mapping[str, int]
    """Sizes by hash; a blob that several models share is on the disk once."""

    used_s: float
    pinned: bool = False
    held: bool = False

    @property
    def removable(self) -> bool:
        return not (self.pinned or self.held)


def choose_removals(
    models: Sequence[Kept], now_s: float, max_age_s: float, max_bytes: int | None
) -> tuple[Kept, ...]:
    """The models to remove, in the order of their last use.

    Those unused for longer than `max_age_s`, and then the longest unused ones until the rest
    fits into `max_bytes`; one that frees nothing, because others share its blobs, stays. Never
    a pinned or a held one, so what comes of it may still be too large.
    """
    oldest = sorted(models, key=lambda model: (model.used_s, model.key))
    old = {m.key for m in oldest if m.removable and now_s - m.used_s > max_age_s}
    gone = set(old)
    if max_bytes is not None:
        for model in oldest:
            if total_bytes(models, gone) <= max_bytes:
                break
            if model.removable:
                gone.add(model.key)
        for model in reversed(oldest):
            if model.key in gone - old and total_bytes(models, gone - {model.key}) <= max(
                max_bytes, total_bytes(models, gone)
            ):
                gone.discard(model.key)
    return tuple(model for model in oldest if model.key in gone)


def total_bytes(models: Sequence[Kept], without: set[str] | frozenset[str] = frozenset()) -> int:
    """What the models take together, each shared blob counted once."""
    sizes: dict[str, int] = {}
    for model in models:
        if model.key not in without:
            sizes.update(model.blobs)
    return sum(sizes.values())


def freed_bytes(models: Sequence[Kept], removed: Sequence[Kept]) -> int:
    gone = {model.key for model in removed}
    return total_bytes(models) - total_bytes(models, gone)
