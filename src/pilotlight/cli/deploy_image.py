"""`pilotlight deploy image`: one image that every target runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pilotlight.cli.command import Command
from pilotlight.cli.deploy_release import (
    as_json_flag,
    dry_run_flag,
    known_here,
    overrides_of,
    read_source,
    source_flags,
)
from pilotlight.cli.interruption import stopped_alike
from pilotlight.config import declared
from pilotlight.deploy.image.settings import CHOICES, ImageOptions

if TYPE_CHECKING:
    from pilotlight.catalog.platform import CpuArchitecture
    from pilotlight.deploy.image.choices import Choice
    from pilotlight.deploy.image.request import ImageRequest
    from pilotlight.deploy.source import Source

_F = TypeVar("_F", bound=Callable[..., Any])
PART = "build"


def _image_flags(function: _F) -> _F:
    """A flag for each of its settings."""
    for item in reversed([*declared(ImageOptions)]):
        (name,) = item.path
        switch = item.kind is bool
        words = "|".join(CHOICES.get(name, ())) or ("LIST" if item.default == () else name.upper())
        function = click.option(
            item.flag,
            f"built_{name}",
            is_flag=switch,
            default=None,
            metavar=None if switch else words,
            help=item.help,
        )(function)
    return function


@click.command(
    cls=Command,
    examples=(
        "pilotlight deploy image -f pilotlight.yaml",
        "pilotlight deploy image -f pilotlight.yaml --push registry.example.com/chat:1",
        "pilotlight deploy image --plan plan.json --set models=fetch --engine wheel --dry-run",
    ),
)
@source_flags
@_image_flags
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="write what it would be built from, and build nothing",
)
@dry_run_flag
@as_json_flag
@click.pass_context
def image(
    context: click.Context, /, out: Path | None, dry_run: bool, as_json: bool, **flags: Any
) -> None:
    """Build the image, with buildah, podman or docker, and try it.

    The models lie in it, unless `models` of the `deploy` section says that instances fetch or mount
    them. Targets run the one that was made last under this name, unless they are told another.
    """
    request, weighed = _request(context, flags)
    if dry_run:
        _show_plan(request, weighed, as_json)
        return
    if out is not None:
        from pilotlight.deploy.image.context import assemble

        with stopped_alike():
            spec = assemble(request, out, _say)
        click.echo(json.dumps({"context": str(out), "tag": spec.tag}) if as_json else str(out))
        return
    from pilotlight.deploy.image.built import text
    from pilotlight.deploy.image.make import make

    with stopped_alike():  # else a job's time limit would leave a whole context behind
        built = make(request, _say)
    click.echo(json.dumps(asdict(built)) if as_json else text(built))


def _request(
    context: click.Context, flags: Mapping[str, Any]
) -> tuple[ImageRequest, tuple[Choice, ...]]:
    """What is to be built, and what else might be done with the weights.

    Raises:
        ConfigError, PlanError: what is wrong, and where.
    """
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.deploy.image.request import ImageRequest
    from pilotlight.deploy.image.settings import check
    from pilotlight.deploy.instance_file import instance_file
    from pilotlight.deploy.resolve import resolve_image, weights_bytes
    from pilotlight.deploy.section import is_common
    from pilotlight.deploy.tradeoff import platforms, tradeoff

    source, chosen = read_source(context, flags)
    given = overrides_of(flags)
    common = [text for text in given if is_common(text)]
    known = known_here(chosen, read_catalog(chosen))
    release = resolve_image(source, known, common)
    own = (*(text for text in given if not is_common(text)), *_own(flags))
    options = _options(source, release.size.architecture, common, own)
    check(options)
    architecture = cast("CpuArchitecture", options.architecture)
    release = replace(release, size=replace(release.size, architecture=architecture))
    weighed = tradeoff(release, known.catalog, weights_bytes(source, known))
    request = ImageRequest(
        name=release.name,
        serve=release.serve,
        configuration=instance_file(release),
        models=release.models,
        options=options,
        data_dir=chosen.data_dir,
        store=chosen.store,
        platforms=tuple(platforms(release, known.catalog)),
        size=release.size,
    )
    return request, weighed


def _options(
    source: Source, usual: CpuArchitecture, common: Sequence[str], own: Sequence[str]
) -> ImageOptions:
    """The command line's architecture, else the `build` section's, else the instances'."""
    from pilotlight.deploy.section import part_of

    options = part_of(ImageOptions, PART, source.section, own, source=source.name)
    told = any(text.startswith(f"{PART}.architecture=") for text in own)
    elsewhere = any(text.startswith("architecture=") for text in common)
    in_file = "architecture" in (source.section.get(PART) or {})
    if told or (in_file and not elsewhere):
        return options
    return replace(options, architecture=usual)


def _own(flags: Mapping[str, Any]) -> Iterator[str]:
    for item in declared(ImageOptions):
        value = flags[f"built_{item.path[0]}"]
        if value is not None:
            yield f"{PART}.{item.path[0]}={str(value).lower() if value is True else value}"


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show_choices(weighed: Sequence[Choice]) -> None:
    from pilotlight.deploy.image.choices import text

    if weighed:
        click.echo(
            f"\nthe weights in the image, fetched at each start, or mounted:\n{text(weighed)}"
        )


def _show_plan(request: ImageRequest, weighed: Sequence[Choice], as_json: bool) -> None:
    """What would be built."""
    facts = {
        "tag": request.tag,
        "models": request.models,
        **{name: value for name, value in asdict(request.options).items() if value is not None},
    }
    if as_json:
        tree = {**facts, "choices": [asdict(each) for each in weighed]}
        click.echo(json.dumps(tree, default=str))
        return
    for name, value in facts.items():
        if value not in ((), False):
            click.echo(f"{name:<18}{', '.join(value) if isinstance(value, tuple) else value}")
    click.echo(f"\n{request.configuration}", nl=False)
    _show_choices(weighed)
