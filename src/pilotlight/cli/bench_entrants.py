"""Who takes part in a matrix, as the command line and its files name them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
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
    return [Path(text) for text in subjects if Path(text).suffix.lower() in _YAML]


def entrants(
    subjects: Sequence[str], flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> tuple[Contestant, ...]:
    from pilotlight.bench.matrix.contestant import distinct
    from pilotlight.bench.matrix.spec import contestants, read

    found: list[Contestant] = []
    for text in subjects:
        if Path(text).suffix.lower() in _YAML:
            found.extend(contestants(read(Path(text))))
        else:
            found.extend(_named(text, flags, settings, file))
    return distinct(found)


def _named(
    text: str, flags: Mapping[str, Any], settings: Settings, file: Path | None
) -> Iterator[Contestant]:
    """``ENGINE:NAME=REF``, each part but the ref left out where it isn't needed."""
    from pilotlight.bench.matrix.contestant import Contestant, Weights, started
    from pilotlight.cli.bench_target import recipe_of

    label, target = split_subject(text)
    engine, _, name = label.rpartition(":")
    if target.startswith(("http://", "https://")):
        key = os.environ.get(KEY_VARIABLE) or None
        yield Contestant(name=name or target, address=target, key=key)
        return
    kinds = [engine] if engine else list(flags["engines"]) or [None]
    for kind in kinds:
        one = recipe_of(target, {"name": None, "engine": kind, "options": ()}, settings, file)
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
