"""What can be varied: axes around a default, and points worth starting from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilotlight.tune.setting import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing to vary while all others stay.

    An ordered axis has rising whole numbers: it is climbed, and halved between them. Of any other
    all values are tried.
    """

    name: str
    options: tuple[str, ...]
    """The engine's options that it writes."""

    values: tuple[Any, ...]
    read: Callable[[Setting], Any]
    """The value a setting has, its engine's default included."""

    write: Callable[[Setting, Any], Mapping[str, Any]]
    """The options that give a setting this value; None takes one back to the default."""

    ordered: bool = False
    changes_answers: bool = False
    """Another value means other answers, not only another speed: evaluate before relying on it."""

    def moved(self, setting: Setting, value: Any) -> Setting:
        return setting.having(self.write(setting, value))


def single(
    name: str,
    values: Sequence[Any],
    default: Any,
    *,
    given: Collection[str] = (),
    ordered: bool = True,
) -> Axis:
    """An axis of one option. `default` is its value where a setting doesn't have it, and isn't
    written then: one setting shall have one name. Unless it was `given` by that very value."""
    usual = default if name in given else None
    return Axis(
        name=name,
        options=(name,),
        values=tuple(values),
        read=lambda setting: setting.options.get(name, default),
        write=lambda setting, value: {name: usual if value == default else value},
        ordered=ordered,
    )


def named(
    name: str, choices: Mapping[str, Mapping[str, Any]], *, changes_answers: bool = False
) -> Axis:
    """An axis whose values are names of several options together; the first is the default."""
    options = tuple({option: None for choice in choices.values() for option in choice})
    unset = dict.fromkeys(options)

    def read(setting: Setting) -> str | None:
        for label, choice in choices.items():
            if all(setting.options.get(option) == choice.get(option) for option in options):
                return label
        return None

    return Axis(
        name=name,
        options=options,
        values=tuple(choices),
        read=read,
        write=lambda setting, label: {**unset, **choices[label]},
        changes_answers=changes_answers,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """`default` is what would be served without tuning, and what is kept if nothing beats it."""

    default: Setting
    starts: tuple[Setting, ...] = ()
    """Others worth a look of their own: other engines, other quantizations, rules of thumb."""

    axes: Mapping[str, tuple[Axis, ...]]
    """By engine, the most telling first."""

    def axes_of(self, setting: Setting) -> tuple[Axis, ...]:
        return self.axes.get(setting.engine, ())

    def other_answers(self, setting: Setting) -> Iterator[str]:
        """By name, in what `setting` differs from the default by more than speed."""
        if setting.ref != self.default.ref:
            yield "the weights"
        if setting.engine != self.default.engine:
            yield "the engine"
            return
        for axis in self.axes_of(setting):
            if axis.changes_answers and axis.read(setting) != axis.read(self.default):
                yield axis.name
