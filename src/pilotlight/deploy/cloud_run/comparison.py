"""What is there beside what shall be, in the API's JSON; only what a release decides is looked at.

Others' fields (a VPC connector, a label of the finance department) are neither shown as a
difference nor taken away by an update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})


def seen(live: Any, wanted: Any) -> Any:
    """`live` cut down to what `wanted` has, in its order.

    The API leaves out whatever has its default, so an empty value of `wanted` that it doesn't
    mention is one that it agrees with.
    """
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return {key: _seen_field(live, key, value) for key, value in wanted.items()
                if key in live or value in _EMPTY}  # fmt: skip
    if _is_list(wanted) and _is_list(live):
        shapes = [*wanted, *[None] * (len(live) - len(wanted))]
        return [item if shape is None else seen(item, shape)
                for item, shape in zip(live, shapes, strict=False)]  # fmt: skip
    return live


def _seen_field(live: Mapping[str, Any], key: str, wanted: Any) -> Any:
    return seen(live[key], wanted) if key in live else wanted


def merged(live: Any, wanted: Any) -> Any:
    """`wanted` laid over `live`: what it doesn't mention stays; lists are taken as they are."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        over = {key: merged(live.get(key), value) for key, value in wanted.items()}
        return {key: value for key, value in {**live, **over}.items() if value is not None}
    if isinstance(wanted, Mapping):
        return {k: merged(None, value) for k, value in wanted.items() if value is not None}
    return wanted


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
