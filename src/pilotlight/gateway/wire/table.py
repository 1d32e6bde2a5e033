"""A table of one request's fields: what each may hold and who honours it.

Every field of every request is in exactly one place: honoured by all engines of
the operation, honoured by those that list it, acted on by the gateway itself,
or accepted only in the value that changes nothing. Anything else is refused by
name, because a field that is taken and ignored is a wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotlight.core import Capabilities
from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import Check, anything
from pilotlight.gateway.wire.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class NoOp:
    """Values that ask for what happens anyway; any other is refused with `reason` and `hint`."""

    values: tuple[Any, ...]
    reason: str
    hint: str = "leave it out"

    def allows(self, value: Any) -> bool:
        # `True == 1` in Python, and `echo: 1` is not `echo: true`.
        return any(value == each and type(value) is type(each) for each in self.values)


@dataclass(frozen=True, slots=True)
class Request:
    """A body with what its model can do; `honoured` are the fields beyond the core set."""

    body: Mapping[str, Any]
    capabilities: Capabilities
    honoured: frozenset[str] = frozenset()


Relation = Callable[[Request], None]


@dataclass(frozen=True, slots=True)
class Table:
    """All fields of one request; `relations` are the rules that need more than one of them."""

    core: Mapping[str, Check]
    handled: Mapping[str, Check] = field(default_factory=dict)
    extras: Mapping[str, Check] = field(default_factory=dict)
    no_op: Mapping[str, NoOp] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    tidy: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """For fields with an inside: takes out what no engine should see, or returns it as it is."""

    open: bool = False
    """Whether every other field is the model's own, whatever it holds and also when it is null."""

    def check(self, request: Request) -> None:
        """Raises FieldError or UnsupportedParameterError, naming the field and the next step."""
        body, core, handled = request.body, self.core, self.handled
        for name in self.required:
            if body.get(name) is None:
                raise FieldError(name, None, "a value, for it is required")
        for name, value in body.items():
            if value is None:
                continue
            check = core.get(name) or handled.get(name)
            if check is not None:
                check(name, value)
            else:
                self._check_optional(name, value, request)
        for relation in self.relations:
            relation(request)

    def _check_optional(self, name: str, value: Any, request: Request) -> None:
        if name in request.honoured:
            self.extras.get(name, anything)(name, value)
            return
        rule = self.no_op.get(name)
        if rule is None and self.open:
            return
        if rule is None:
            raise self._unknown(name, request)
        if not rule.allows(value):
            raise UnsupportedParameterError(
                f"{name!r} can't be {_short(value)}: {rule.reason}", param=name, hint=rule.hint
            )

    def _unknown(self, name: str, request: Request) -> UnsupportedParameterError:
        if name in self.extras:
            return UnsupportedParameterError(
                f"{name!r} is not honoured by this model's engine",
                param=name,
                hint="leave it out, or serve the model with an engine that has it",
            )
        known = {*self.core, *self.handled, *self.no_op, *request.honoured}
        return UnsupportedParameterError(
            f"unknown parameter {name!r}", param=name, hint=did_you_mean(name, known)
        )

    def engine_body(self, request: Request) -> Mapping[str, Any]:
        """The body without what is not the engine's business; the same object if nothing is.

        Some engines refuse a field they lack even in its no-op value or as null
        (llama.cpp: ``best_of``, ``suffix``), so those never reach one.
        """
        body, kept = request.body, _SEEN_BY_ENGINE
        drop = [
            name
            for name, value in body.items()
            if (value is None and not self.open)
            or (name in self.handled and name not in kept)
            or (name in self.no_op and name not in request.honoured)
        ]
        tidied = {name: tidy(body[name]) for name, tidy in self.tidy.items() if body.get(name)}
        if not drop and all(tidied[name] is body[name] for name in tidied):
            return body
        return {name: value for name, value in body.items() if name not in drop} | tidied


_SEEN_BY_ENGINE = frozenset({"model", "stream", "stream_options"})


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
