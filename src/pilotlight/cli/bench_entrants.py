"""Who takes part in a matrix, as the command line and its files name them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pilotlight.cli.bench_target import KEY_VARIABLE
from pilotlight.errors import BenchError

if TYPE_CHECKING:
    from pilotlight.bench.matrix.contestant import Contestant
    from pilotlight.config import Settings

_YAML = frozenset({".yaml", ".yml"})


def with_files(
    context: click.Context, flags: dict[str, Any], subjects: Sequence[str]
) -> dict[str, Any]:
    """A file's `load` stands where the command line says nothing.

    Raises:
        BenchError: it names no flag, or gives one a wrong value.
    """
    from pilotlight.bench.matrix.spec import read

    found = dict(flags)
    known = {parameter.name: parameter for parameter in context.command.params}
    for path in _files(subjects):
        for name, value in read(path).load.items():
            key = name.replace("-", "_")
            if key not in flags:
                raise BenchError(
                    f"{str(path)!r}: load.{name} is no flag of this command",
                    hint="see pilotlight bench matrix --help",
                )
            if context.get_parameter_source(key) is not ParameterSource.COMMANDLINE:
                found[key] = _typed(context, known[key], value, f"{str(path)!r}: load.{name}")
    return found


def _typed(context: click.Context, parameter: click.Parameter, value: Any, where: str) -> Any:
    if parameter.multiple and not isinstance(value, list):
        value = [value]
    try:
        return parameter.type_cast_value(context, value)
    except click.BadParameter as error:
        raise BenchError(f"{where} is {value!r}: {error.message}", hint="mend the file") from None


def _files(subjects: Sequence[str]) -> list[Path]:
    return [Path(text) for text in subjects if _is_file(text)]


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in _YAML


def entrants(
    subjects: Sequence[str], flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> tuple[Contestant, ...]:
    """Raises:
    BenchError: one of them can't be.
    click.UsageError: an engine or an option that none of those named here has a use for.
    """
    from pilotlight.bench.matrix.contestant import distinct
    from pilotlight.bench.matrix.spec import contestants, read

    found: list[Contestant] = []
    engines: set[str] = set()
    for text in subjects:
        if _is_file(text):
            found += contestants(read(Path(text)))
            continue
        named = list(_named(text, flags, settings, file))
        engines |= {one.recipe.engine for one in named if one.recipe is not None}
        found += named
    _check_used(flags, engines)
    return distinct(map(_reached, found))


def _check_used(flags: Mapping[str, Any], engines: Set[str]) -> None:
    for kind in flags["engines"]:
        if kind not in engines:
            raise click.UsageError(f"--engine {kind}: no subject is left to it")
    for text in flags["options"]:
        prefix, dot, _ = text.partition("=")[0].partition(".")
        if prefix not in engines if dot else not engines:
            raise click.UsageError(f"--option {text}: no subject is started on such an engine")


def _reached(one: Contestant) -> Contestant:
    """An address that can be, with the key that goes to all of them."""
    from pilotlight.bench.subjects.endpoint import base_url

    if one.address is None:
        return one
    key = os.environ.get(KEY_VARIABLE) or None
    return replace(one, address=base_url(one.address), key=key)


def _named(
    text: str, flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> Iterator[Contestant]:
    """``ENGINE:NAME=REF``, each part but the ref left out where it isn't needed."""
    from pilotlight.bench.matrix.contestant import Contestant, Weights, started
    from pilotlight.cli.bench_target import recipe_of

    label, target = split_subject(text)
    engine, _, name = label.rpartition(":")
    if target.startswith(("http://", "https://")):
        yield Contestant(name=name or target, address=target)
        return
    kinds = [engine] if engine else list(flags["engines"]) or [None]
    for kind in kinds:
        one = recipe_of(target, {"engine": kind, "options": ()}, settings, file)
        weights = Weights(name=name or one.name, ref=one.ref, engines=(one.engine,))
        values = {key: [value] for key, value in one.options.items()}
        yield from started([weights], {**values, **_options(flags["options"])})


def split_subject(text: str) -> tuple[str, str]:
    """Label and target. Addresses have a slash before their first ``=``, pinned packages two."""
    label, equals, target = text.partition("=")
    labelled = equals and "/" not in label and not target.startswith("=")
    return (label, target) if labelled else ("", text)


def _options(texts: Sequence[str]) -> dict[str, list[Any]]:
    from pilotlight.cli.serve import read_option

    found: dict[str, list[Any]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        found[key] = [read_option(f"{key}={value}")[1] for value in values.split(",")]
    return found
