"""Several points to begin from, halved: the better half is looked at again for twice as long."""

from __future__ import annotations

from pilotlight.tune.book import Book, Steps
from pilotlight.tune.setting import Setting


def best_start(settings: tuple[Setting, ...], level: float, book: Book) -> Steps[Setting]:
    """Successive halving. The first of `settings` is the default, and wins a draw."""
    left, seconds = list({setting.key: setting for setting in settings}.values()), 0.0
    while len(left) > 1:
        seconds = max(book.budget.look_s, min(book.budget.full_s, seconds * 2))
        for setting in left:
            yield from book.look(setting, level, seconds, "start")
        ranked = sorted(left, key=lambda setting: -book.merit(setting, level))
        kept = ranked[: (len(left) + 1) // 2]
        if len(left) == 2 or (seconds >= book.budget.full_s and len(kept) == 1):
            kept = kept[:1]
        left = [setting for setting in left if setting in kept]
    first, winner = settings[0], left[0]
    return winner if book.better(winner, first, level) else first
