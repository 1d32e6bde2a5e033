"""What can be set about a server that is run by a command or reached at an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pilotlight.core import Operation
from pilotlight.engines.given import Reader, option
from pilotlight.engines.llamacpp import kinds as plain
from pilotlight.engines.openai import kinds
from pilotlight.engines.presets.kinds import environment, names, words
from pilotlight.engines.presets.preset import Preset
from pilotlight.errors import EngineOptionError

_OPERATIONS = (Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS, Operation.RERANK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A preset takes those that mean something to it; `options_of` says which."""

    # Where it runs.
    endpoint: str | None = option(
        None, kinds.url(), "where one runs already, without /v1; nothing is started then"
    )
    api_key_env: str | None = option(
        None, kinds.variable(), "environment variable with that one's key", hidden=True
    )
    timeout: float = option(120.0, kinds.duration(), "longest wait for that one's next byte")
    program: tuple[str, ...] | None = option(None, words(), "the program, instead of the usual")
    command: tuple[str, ...] | None = option(
        None, words(), "the whole command line; see docs/engines/presets.md for what it may hold"
    )
    args: tuple[str, ...] = option((), words(), "further arguments, as they are")
    environment: tuple[tuple[str, str], ...] = option(
        (),
        environment(),
        "environment variables; {secret} stands for the replica's own key",
        hidden=True,
    )
    # What it is told.
    context: int | None = option(None, plain.whole(1), "tokens one request may use")
    parallel: int = option(16, plain.whole(1, 4096), "requests worked on at once")
    tensor_parallel: int | None = option(None, plain.whole(1), "GPUs that share each layer")
    pipeline_parallel: int | None = option(None, plain.whole(1), "GPUs that share the layers")
    expert_parallel: int | None = option(None, plain.whole(1), "GPUs that share the experts")
    data_parallel: int | None = option(None, plain.whole(1), "whole copies of the model")
    gpu_memory_fraction: float | None = option(
        None, plain.real(0, 1), "share of the GPU's memory it may take"
    )
    quantization: str | None = option(None, plain.text(), "how weights are quantized")
    dtype: str | None = option(None, plain.text(), "type of activations")
    cache_type: str | None = option(None, plain.text(), "type of the key and value cache")
    tokenizer: str | None = option(None, plain.text(), "the tokenizer's path or name")
    backend: str | None = option(None, plain.text(), "which of its backends")
    model_name: str | None = option(None, plain.text(), "what the server calls the model")
    # What is known of it.
    memory: int | None = option(None, plain.size(), "host memory a replica takes")
    ready: str | None = option(None, kinds.path(), "a GET of this answers 200 when it is ready")
    metrics: str | None = option(None, kinds.path(), "where its Prometheus metrics are")
    counters: tuple[str, ...] | None = option(
        None, names(), "metrics that grow while it works, for the watchdog"
    )
    operations: frozenset[Operation] | None = option(
        None, kinds.operations(_OPERATIONS), "what the server does"
    )
    parameters: frozenset[str] | None = option(
        None, kinds.words(), "request fields it honours beyond the usual"
    )
    tools: bool = option(False, plain.switch(), "the model calls tools")
    vision: bool = option(False, plain.switch(), "the model reads images")


_ANYWHERE = frozenset({
    "endpoint", "api_key_env", "timeout", "context", "parallel", "operations", "parameters",
    "tools", "vision", "ready", "model_name",
})  # fmt: skip
_STARTED = frozenset({"args", "environment", "memory", "metrics", "counters"})


def options_of(preset: Preset) -> frozenset[str]:
    """The options that this server has."""
    if preset.name == "command":
        return _ANYWHERE | _STARTED | {"command"}
    if not preset.program:
        return _ANYWHERE
    return _ANYWHERE | _STARTED | {"program"} | preset.flags.keys() | set(preset.required)


def complete(preset: Preset, given: Mapping[str, Any]) -> Options:
    """`given`, checked. Raises EngineOptionError by name."""
    options = Reader(preset.name).read(Options, given, only=options_of(preset))
    _reject_nowhere(preset, options)
    if options.endpoint is None:
        _reject_missing(preset, options)
    else:
        _reject_idle(preset, options, given)
    return options


def _reject_nowhere(preset: Preset, options: Options) -> None:
    if options.endpoint is None and not (preset.program or options.program or options.command):
        needed = "command or endpoint" if preset.name == "command" else "endpoint"
        raise EngineOptionError(
            f"the {preset.name} engine needs the option {needed!r}", hint=preset.install
        )


def _reject_missing(preset: Preset, options: Options) -> None:
    for name in preset.required:
        if getattr(options, name) is None:
            [item] = [item for item in fields(options) if item.name == name]
            raise Reader(preset.name).missing(name, item.metadata["help"])


def _reject_idle(preset: Preset, options: Options, given: Mapping[str, Any]) -> None:
    """What only a start could use would be ignored in silence."""
    told = {name for name, value in given.items() if value is not None}
    idle = sorted(told - _ANYWHERE)
    if idle:
        raise EngineOptionError(
            f"the {preset.name} option {idle[0]!r} is for a server that is started here, and "
            f"endpoint says that one runs at {options.endpoint}",
            hint=f"remove {idle[0]}, or remove endpoint",
        )
