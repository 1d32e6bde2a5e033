"""The flags that say what is deployed, and the release they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.flags import setting_flags, settings
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.config import Settings
    from pilotlight.deploy.release import Release
    from pilotlight.deploy.resolve import Known
    from pilotlight.deploy.source import Source
    from pilotlight.deploy.target import Target

_F = TypeVar("_F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)
_SOURCE = (
    click.option("--plan", type=_FILE, metavar="FILE", help="of `pilotlight plan --json`"),
    click.option("--rank", type=click.IntRange(1), metavar="N",
                 help="of the plans in it, which  [default: 1]"),
    click.option("--ref", metavar="REF", help="where the weights of the plan are"),
    click.option("-f", "--file", type=_FILE, metavar="FILE",
                 help="configuration, with what is deployed and its `deploy` section"),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                 help="over the `deploy` section, such as memory=8GB or lambda.timeout=5m; may be "
                 "repeated"),
    click.option("--name", metavar="NAME", help="of everything that is made at the platform"),
)  # fmt: skip
_PLACE = (
    click.option("--image", metavar="IMAGE", help="that instances run, by digest or tag"),
    click.option("--region", metavar="REGION", help="of the platform"),
)
as_json_flag = click.option("--json", "as_json", is_flag=True, help="print JSON")
dry_run_flag = click.option("--dry-run", is_flag=True, help="say what would be done, and do none")


def source_flags(function: _F) -> _F:
    """Of whatever is made from a plan or a configuration."""
    function = setting_flags("data_dir", "catalog")(function)
    for option in reversed(_SOURCE):
        function = option(function)
    return function


def release_flags(function: _F) -> _F:
    """Those, and where it goes: TARGET first."""
    for option in reversed(_PLACE):
        function = option(function)
    return click.argument("target", metavar="TARGET")(source_flags(function))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is deployed, where, and what this machine knows of it."""

    target: Target
    release: Release[Any]
    source: Source
    settings: Settings
    catalog: Catalog


def choose(context: click.Context, flags: Mapping[str, Any], *, with_image: bool = True) -> Chosen:
    """Reads what it has to, and asks no platform.

    Raises:
        click.UsageError: nothing says what is deployed.
        DeployError, ConfigError, PlanError: there is no such target, or it can't be deployed so.
    """
    from pilotlight.cli.plan_facts import read_catalog
    from pilotlight.deploy.registry import find
    from pilotlight.deploy.resolve import resolve

    target = find(flags["target"])
    source, chosen = read_source(context, flags)
    catalog = read_catalog(chosen)
    known = known_here(chosen, catalog)
    release = resolve(target, source, known, overrides_of(flags), with_image=with_image)
    return Chosen(target=target, release=release, source=source, settings=chosen, catalog=catalog)


def read_source(context: click.Context, flags: Mapping[str, Any]) -> tuple[Source, Settings]:
    """Raises as `choose` does."""
    from pilotlight.deploy.source import of_file, of_plan, planned

    plan, file = flags["plan"], flags["file"]
    if plan is None and file is None:
        raise click.UsageError("what is to be deployed? give -f FILE or --plan FILE")
    for name in ("rank", "ref"):
        if plan is None and flags[name] is not None:
            raise click.UsageError(f"--{name} means nothing without --plan")
    chosen = settings(context, file)
    given = of_file(file) if file else None
    if plan is None:
        assert given is not None
        return given, chosen
    found = of_plan(_read(plan), str(plan), rank=flags["rank"] or 1, ref=flags["ref"])
    return (planned(found, given) if given else found), chosen


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"can't read {str(path)!r}: {error.strerror}",
            hint="make a plan with: pilotlight plan MODEL --json > plan.json",
        ) from None


def overrides_of(flags: Mapping[str, Any]) -> Sequence[str]:
    """The flags of their own go last: they are the plainest way to say it."""
    named = ("name", "image", "region")
    return (
        *flags["overrides"],
        *(f"{name}={flags[name]}" for name in named if flags.get(name) is not None),
    )


def known_here(chosen: Settings, catalog: Catalog) -> Known:
    """Raises ConfigError: the keys can't be read."""
    from functools import partial

    from pilotlight.deploy.image.remembered import remembered
    from pilotlight.deploy.resolve import Known

    return Known(
        catalog=catalog,
        keys=_keys(chosen.data_dir / "keys.json"),
        image=partial(remembered, chosen.data_dir),
        weights_bytes=partial(_weights_bytes, chosen),
    )


def _keys(path: Path) -> Mapping[str, Any]:
    """The file's content, once it is known to be sound; empty where there is none."""
    import json

    from pilotlight.gateway.keys import KeyStore

    found: Mapping[str, Any] = json.loads(path.read_bytes()) if KeyStore(path).list() else {}
    return found


def _weights_bytes(chosen: Settings, source: Source) -> int | None:
    """Of all models and adapters together, each once; None if one of them isn't here."""
    from pilotlight.core import ModelRef
    from pilotlight.store.store import Store

    store = Store(chosen.data_dir / "store", chosen.store)
    total = 0
    for ref in dict.fromkeys(_refs(source)):
        files = store.present(ModelRef.parse(ref))
        if files is None:
            return None
        total += files.size_bytes
    return total


def _refs(source: Source) -> Iterator[str]:
    """Of all that instances load: models and their adapters."""
    from pilotlight.config import ModelPolicy, parse_model

    for name, entry in source.serve["models"].items():
        model = parse_model(str(name), entry, ModelPolicy(), source.name)
        if model.engine != "openai":
            yield model.ref
            yield from (adapter.ref for adapter in model.adapters.values())
