"""The pilotlight.yaml that one instance runs: the user's own, made fit for a container.

An instance has no disk that lasts, no neighbours and one job. Where it listens, where it writes
and where its weights are is the platform's to say; everything else is as `pilotlight serve` has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import yaml

from pilotlight.deploy.release import ModelSource, Release
from pilotlight.planner.engine_facts import ENGINES
from pilotlight.quantities import show_seconds

# The image's own layout (deploy.image), which every target's files refer to.
CONFIG_FILE = "/etc/pilotlight/pilotlight.yaml"
KEYS_FILE = "/etc/pilotlight/keys.json"
KEYS_VARIABLE = "PILOTLIGHT_KEYS_JSON"
DATA_DIR = "/tmp/pilotlight"
"""The one directory that an instance writes to; the rest of it is read-only."""

MODELS_DIR = "/models"
CACHE_DIR = "/cache"
USER = 10001
"""Its uid and gid."""

PORT = 8080

Cache = Literal["read", "write"]
"""Whether an instance may add to the mounted cache, or only reads what is there."""

_OF_THE_MACHINE = {
    "": ("host", "port", "tls_certificate", "tls_key", "data_dir", "allowed_hosts", "catalog",
         "memory", "log_format", "drain", "deploy"),
    "store": ("directory", "shared", "offline", "peers", "tracker", "peer_url", "max_size", "warm"),
    "engines": ("directory",),
    "ledger": ("hardware_usd", "hardware_years", "usd_per_kwh", "rated_w", "meter"),
}  # fmt: skip
"""Keys that say something of the machine on which the file was written, by section."""

_HEAD = """\
# What an instance of {name} runs. Written by `pilotlight deploy`: change what it is made from,
# not this file. Any PILOTLIGHT_ variable of the instance wins over it.
"""


def instance_file(
    release: Release[Any],
    *,
    drain_s: float | None = None,
    port: int = PORT,
    cache: Cache = "read",
) -> str:
    """YAML; the same release gives the same bytes.

    `drain_s` is what requests in flight get after SIGTERM, below the platform's own grace; None
    leaves it out, for platforms that send no signal. `cache` means something where the release's
    models are mounted.
    """
    tree = instance_tree(release, drain_s=drain_s, port=port, cache=cache)
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    return _HEAD.format(name=release.name) + text


def instance_tree(
    release: Release[Any],
    *,
    drain_s: float | None = None,
    port: int = PORT,
    cache: Cache = "read",
) -> dict[str, Any]:
    """The same as plain data, for targets that have it among other data."""
    own = _portable(release.serve)
    tree: dict[str, Any] = {
        # Whoever may reach it is the platform's decision; who may ask, the keys'.
        "host": "0.0.0.0",
        "port": port,
        "data_dir": DATA_DIR,
        "log_format": "json",
    }
    if drain_s is not None:
        tree["drain"] = show_seconds(drain_s)
    tree["store"] = {**(own.pop("store", None) or {}), **_store(release.models, cache)}
    # Nothing in a container says what the machine around it draws.
    tree["ledger"] = {**(own.pop("ledger", None) or {}), "meter": False}
    models = own.pop("models", None) or {}
    defaults = own.get("defaults") or {}
    return {**tree, **own, "models": dict(_models(models, defaults, release.scaling.concurrency))}


def _portable(serve: Mapping[str, Any]) -> dict[str, Any]:
    """Without what holds on one machine alone."""
    kept = {key: value for key, value in serve.items() if key not in _OF_THE_MACHINE[""]}
    for section, keys in _OF_THE_MACHINE.items():
        if isinstance(kept.get(section), Mapping):
            inner = {key: value for key, value in kept[section].items() if key not in keys}
            kept[section] = inner
    if isinstance(engines := kept.get("engines"), Mapping):
        # The image has an engine of its own, tuned for any processor.
        kept["engines"] = {key: value for key, value in engines.items() if key != "llamacpp"}
    return {key: value for key, value in kept.items() if value != {}}


def _store(models: ModelSource, cache: Cache) -> dict[str, Any]:
    if models == "fetch":
        return {"offline": False}
    if models == "mount" and cache == "write":
        return {"directory": CACHE_DIR, "offline": False}
    # Whatever isn't there would be fetched in the middle of a request: rather fail at the start.
    return {"shared": [MODELS_DIR if models == "image" else CACHE_DIR], "offline": True}


def _models(
    models: Mapping[str, Any], defaults: Mapping[str, Any], concurrency: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in models.items():
        model: dict[str, Any] = {"ref": entry} if isinstance(entry, str) else dict(entry)
        engine = model.get("engine", "llamacpp")
        if facts := ENGINES.get(engine):
            options = {facts.sequences_option: concurrency, **(model.get("options") or {})}
            model["options"] = options
        if engine != "openai":
            # Loaded as the instance starts, and for as long as it lives: coming and going is the
            # platform's part.
            usual = {"min": 1, "keep_alive": "forever"}
            model = {**model, **{k: v for k, v in usual.items() if k not in {**defaults, **model}}}
        yield name, model
