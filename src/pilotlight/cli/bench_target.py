"""What TARGET names: an address, a plan, a model that is configured or known, or a ref."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.flags import with_options
from pilotlight.cli.target import SoleModel, read_target, served_name
from pilotlight.core import ModelRef
from pilotlight.errors import BenchError, ConfigError

if TYPE_CHECKING:
    from pilotlight.bench.planned import Planned
    from pilotlight.bench.subjects.recipe import Recipe
    from pilotlight.bench.subjects.subject import Subject
    from pilotlight.config import Settings

_F = TypeVar("_F", bound=Callable[..., Any])

KEY_VARIABLE = "PILOTLIGHT_API_KEY"
_ENGINES: Mapping[str, str] = {"ollama": "ollama", "openai": "openai", "python": "python"}
"""By a ref's scheme, where only one engine runs it."""

_FLAGS = (
    click.option("--model", metavar="NAME", help="of the models at an address, the one to ask"),
    click.option("--key-variable", metavar="NAME", default=KEY_VARIABLE, show_default=True,
                 help="environment variable that holds the API key of an address"),
    click.option("--engine", metavar="KIND", help="that runs a model which is started"
                 "  [default: llamacpp, or what its ref needs]"),
    click.option("--option", "options", metavar="KEY=VALUE", multiple=True,
                 help="engine option of a model which is started; may be repeated"),
    click.option("--name", metavar="NAME", help="what reports call it"),
    click.option("--rank", type=click.IntRange(1), metavar="N",
                 help="of the plans in a file, which  [default: 1]"),
    click.option("--ref", metavar="REF", help="where the weights of a plan are"),
    click.option("--url", metavar="URL", help="measure a plan at this address, where it runs"),
)  # fmt: skip


def target_flags(function: _F) -> _F:
    return with_options(function, _FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Either an address, with `model` and `key` for it, or a recipe; `planned` beside it where a
    plan said so."""

    address: str | None = None
    recipe: Recipe | None = None
    planned: Planned | None = None
    name: str | None = None
    """What reports call it; None leaves that to the subject."""

    model: str | None = None
    key: str | None = None


def choose(target: str, flags: Mapping[str, Any], settings: Settings, file: Path | None) -> Chosen:
    """Reads what it has to, and starts nothing.

    Raises:
        BenchError, PlanError, ModelRefError: TARGET can't be that.
        click.UsageError: flags that mean nothing for it.
    """
    if target.startswith(("http://", "https://")):
        _refuse(flags, ("engine", "options", "rank", "ref", "url"), "an address")
        return _address(target, flags)
    if Path(target).suffix.lower() == ".json":
        return _plan(target, flags)
    _refuse(flags, ("model", "rank", "ref", "url"), "a model that is started")
    return Chosen(recipe=recipe_of(target, flags, settings, file), name=flags["name"])


def _address(url: str, flags: Mapping[str, Any], planned: Planned | None = None) -> Chosen:
    from pilotlight.bench.subjects.endpoint import base_url

    return Chosen(
        address=base_url(url),
        planned=planned,
        name=flags["name"],
        model=flags["model"],
        key=key_of(flags["key_variable"]),
    )


def key_of(variable: str) -> str | None:
    """The API key in it: not every server takes one, but a variable that somebody names has it."""
    key = os.environ.get(variable) or None
    if key is None and variable != KEY_VARIABLE:
        raise click.UsageError(f"--key-variable: {variable} isn't set, or is empty")
    return key


def _plan(target: str, flags: Mapping[str, Any]) -> Chosen:
    from pilotlight.bench.planned import Planned

    try:
        data = Path(target).read_bytes()
    except OSError as error:
        raise BenchError(
            f"can't read {target!r}: {error.strerror}",
            hint="make a plan with: pilotlight plan MODEL --json > plan.json",
        ) from None
    planned = Planned.read(data, target, flags["rank"] or 1)
    if flags["url"] is not None:
        _refuse(flags, ("engine", "options", "ref"), "a plan that runs elsewhere")
        return _address(flags["url"], flags, planned)
    _refuse(flags, ("engine", "options", "model"), "a plan, which says it itself")
    return Chosen(recipe=planned.recipe(flags["ref"]), planned=planned, name=flags["name"])


def recipe_of(
    target: str, flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> Recipe:
    """A name of the configuration file or of the catalog, else a ref or a path."""
    from pilotlight.bench.subjects.recipe import Recipe, wire_name
    from pilotlight.cli.serve import read_option

    options = dict(read_option(text) for text in flags["options"])
    if (entry := _configured(target, file)) is not None:
        return Recipe(
            name=target,
            ref=str(entry.pop("ref")),
            engine=flags["engine"] or entry.pop("engine", "llamacpp"),
            options={**(entry.pop("options", None) or {}), **options},
            policy=_policy(entry),
        )
    ref = _sole(_known_ref(target, settings))
    engine = flags["engine"] or _engine(ref)
    return Recipe(name=wire_name(served_name(ref)), ref=str(ref), engine=engine, options=options)


def _sole(text: str) -> ModelRef:
    """Also a directory of safetensors, which `serve` takes from a configuration alone."""
    ref = ModelRef.parse(text)
    if ref.scheme == "file" and Path(ref.locator).expanduser().is_dir():
        return ref
    chosen = read_target(text, None)
    if isinstance(chosen, SoleModel):
        return chosen.ref
    raise BenchError(
        f"{text!r} is a configuration with models of its own",
        hint=f"name one of them: pilotlight bench MODEL --config {text}",
    )


def _engine(ref: ModelRef) -> str:
    """Raises BenchError: several engines run weights in this form."""
    directory = ref.scheme == "file" and Path(ref.locator).expanduser().is_dir()
    if directory or (ref.scheme == "hf" and ".gguf" not in ref.locator.lower()):
        raise BenchError(
            f"{ref.locator!r} is no .gguf file, and several engines run it",
            hint="choose one: --engine vllm or --engine transformers",
        )
    return _ENGINES.get(ref.scheme, "llamacpp")


def _configured(name: str, file: Path | None) -> dict[str, Any] | None:
    """The model's own entry, of the file or of what `serve` has without one."""
    from pilotlight.config import DEFAULT_MODELS

    models: Mapping[str, Any] = DEFAULT_MODELS
    if file is not None:
        import yaml

        tree = yaml.safe_load(file.read_text()) or {}
        models = tree.get("models") or {}
    entry = models.get(name)
    return None if entry is None else dict(entry)


_MEASURED_APART = frozenset({"keep_alive", "sleep_after", "overflow", "aliases", "min", "standby"})
"""What would have another model answer, or this one leave: no part of a measurement."""


def _policy(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in _MEASURED_APART}


def _known_ref(target: str, settings: Settings) -> str:
    """Of a catalog's model in one of its quantizations, if that is what it names."""
    from pilotlight.cli.plan_facts import read_catalog, variants_of

    name, _, quantization = target.partition("@")
    catalog = read_catalog(settings)
    if catalog.models.seek(name) is None:
        return target
    if not quantization:
        raise BenchError(
            f"{name} in which quantization?", hint=f"say it: {name}@q4_k_m; see pilotlight plan"
        )
    wanted = catalog.quantizations.find(quantization).name
    refs = [each.ref for each in variants_of(catalog, settings, name, None, (wanted,)) if each.ref]
    if not refs:
        raise BenchError(
            f"nobody is known to publish {name} in {wanted}",
            hint="give a ref, such as hf:org/repo/file.gguf",
        )
    return refs[0]


def _refuse(flags: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    for name in names:
        if flags[name] not in (None, ()):
            flag = {"options": "option"}.get(name, name)
            raise click.UsageError(f"--{flag} means nothing for {what}")


@contextlib.contextmanager
def opened(chosen: Chosen, settings: Settings, file: Path | None) -> Iterator[Subject]:
    """The subject, ready to be asked; what was started for it is stopped. Blocks.

    Raises:
        ServerError: the address doesn't answer. EngineStartError: the model didn't start.
    """
    if chosen.address is not None:
        from pilotlight.bench.subjects.endpoint import described

        yield described(chosen.address, key=chosen.key, model=chosen.model, name=chosen.name)
        return
    if chosen.recipe is None:
        raise ConfigError("nothing to measure", hint="give an address, a plan or a model")
    from pilotlight.bench.subjects.recipe import Ground
    from pilotlight.bench.subjects.serving import serving

    with tempfile.TemporaryDirectory(prefix="pilotlight-bench-") as directory:
        ground = Ground.of(settings, Path(directory), file)
        with serving(chosen.recipe, ground) as subject:
            yield replace(subject, name=chosen.name or subject.name)
