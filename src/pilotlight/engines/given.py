"""An engine's options as its user gave them, read into the engine's own dataclass by name.

A field declared with `option` says what its value may be; everything else is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.errors import EngineOptionError
from pilotlight.redact import without_credentials

_T = TypeVar("_T")


def option(default: Any, kind: Kind, help: str, *, hidden: bool = False) -> Any:
    """Declare one option; MISSING as the default makes it required.

    `hidden` keeps a wrong value out of the refusal: where a secret is pasted by mistake.
    """
    return field(default=default, metadata={"kind": kind, "help": help, "hidden": hidden})


def required(kind: Kind, help: str) -> Any:
    return option(MISSING, kind, help)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the options of the engine called `engine`."""

    engine: str

    def read(
        self,
        cls: Callable[..., _T],
        given: Mapping[str, Any],
        only: Collection[str] | None = None,
    ) -> _T:
        """An instance of the dataclass `cls`; None means not given. `only` are those there are.

        Raises:
            EngineOptionError: an unknown option, a wrong value or one that is missing.
        """
        declared: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]
        known = {item.name: item for item in declared if only is None or item.name in only}
        values = {}
        for name, raw in given.items():
            if name not in known:
                raise self._unknown(str(name), list(known))
            if raw is not None:
                values[name] = self._value(known[name], raw)
        for name, item in known.items():
            if name not in values and item.default is MISSING:
                raise self.missing(name, item.metadata["help"])
        return cls(**values)

    def _unknown(self, name: str, known: list[str]) -> EngineOptionError:
        close = difflib.get_close_matches(name, known, n=1)
        return EngineOptionError(
            f"the {self.engine} engine has no option {name!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"its options: {', '.join(known)}",
        )

    def _value(self, item: Field[Any], raw: Any) -> Any:
        kind: Kind = item.metadata["kind"]
        try:
            return kind.parse(raw)
        except (ValueError, TypeError, OverflowError, AttributeError):
            shown = "(hidden)" if item.metadata["hidden"] else without_credentials(repr(raw))
            raise EngineOptionError(
                f"the {self.engine} option {item.name!r} is {shown}, expected {kind.expected}",
                hint="correct the model's options",
            ) from None

    def missing(self, name: str, help: str) -> EngineOptionError:
        return EngineOptionError(
            f"the {self.engine} engine needs the option {name!r}", hint=f"give {name}: {help}"
        )
