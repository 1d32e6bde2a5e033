"""Ollama's ``options``: what each is called on the engine's side, and what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.errors import FieldError, UnsupportedParameterError
from pilotlight.gateway.wire.checks import (
    INT32_MAX,
    Check,
    integer,
    number,
    stop,
)
from pilotlight.gateway.wire.suggest import did_you_mean
from pilotlight.gateway.wire.table import NoOp
from pilotlight.gateway.wire.tables.sampling import LOOK_BACK_MAX


def _num_predict(path: str, value: Any) -> None:
    """-1 and -2 both mean "until the model stops or its context is full"."""
    if value not in (-1, -2) or type(value) is not int:
        integer(1, INT32_MAX)(path, value)


OPTIONS: Mapping[str, tuple[str, Check]] = {
    "num_predict": ("max_tokens", _num_predict),
    "temperature": ("temperature", number(0)),
    "top_p": ("top_p", number(0, 1)),
    "seed": ("seed", integer()),
    "stop": ("stop", stop),
    "presence_penalty": ("presence_penalty", number(-2, 2)),
    "frequency_penalty": ("frequency_penalty", number(-2, 2)),
    "top_k": ("top_k", integer(-1, INT32_MAX)),
    "min_p": ("min_p", number(0, 1)),
    "typical_p": ("typical_p", number(0, 1)),
    "repeat_penalty": ("repeat_penalty", number(0)),
    "repeat_last_n": ("repeat_last_n", integer(-1, LOOK_BACK_MAX)),
    "mirostat": ("mirostat", integer(0, 2)),
    "mirostat_tau": ("mirostat_tau", number(0)),
    "mirostat_eta": ("mirostat_eta", number(0)),
    "num_keep": ("n_keep", integer(-1, INT32_MAX)),
}
"""By Ollama's name: the engine's name and the check."""

_CORE = frozenset(
    {
        "max_tokens", "temperature", "top_p", "seed", "stop",
        "presence_penalty", "frequency_penalty",
    }
)  # fmt: skip

LOAD_TIME = frozenset(
    {
        "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa", "low_vram", "f16_kv",
        "logits_all", "vocab_only", "use_mmap", "use_mlock", "embedding_only",
    }
)  # fmt: skip

_NO_OP: Mapping[str, NoOp] = {
    "tfs_z": NoOp((1, 1.0), "tail-free sampling is gone from the engine", "use 'min_p'"),
    "penalize_newline": NoOp((True,), "newlines are like any other token"),
}


def check_options(
    options: Mapping[str, Any],
    capabilities: Capabilities,
    running: Mapping[str, Any],
    operation: Operation | None,
) -> None:
    """`operation` is what the request becomes; None for embeddings, which sample nothing."""
    honoured = capabilities.parameters.get(operation, frozenset()) if operation else frozenset()
    for name, value in options.items():
        if value is None:
            continue
        path = f"options.{name}"
        if name in LOAD_TIME:
            _as_running(path, name, value, running)
        elif name in OPTIONS and operation is not None:
            _sampled(path, name, value, honoured)
        else:
            _no_op_or_unknown(path, name, value)


def _as_running(path: str, name: str, value: Any, running: Mapping[str, Any]) -> None:
    if name in running and running[name] == value:
        return
    known = f" (it runs with {running[name]!r})" if name in running else ""
    raise UnsupportedParameterError(
        f"{path!r} can't change to {value!r} while the model runs{known}",
        param=path,
        hint="set it in the model's options",
    )


def _sampled(path: str, name: str, value: Any, honoured: frozenset[str]) -> None:
    target, check = OPTIONS[name]
    if target not in _CORE and target not in honoured:
        raise UnsupportedParameterError(
            f"{path!r} is not honoured by this model's engine", param=path, hint="leave it out"
        )
    check(path, value)


def _no_op_or_unknown(path: str, name: str, value: Any) -> None:
    rule = _NO_OP.get(name)
    if rule is None:
        raise UnsupportedParameterError(
            f"{path!r} is not an option of this request",
            param=path,
            hint=did_you_mean(name, {*OPTIONS, *LOAD_TIME}),
        )
    if not rule.allows(value):
        raise FieldError(path, value, f"{rule.values[0]!r}, for {rule.reason}", hint=rule.hint)
