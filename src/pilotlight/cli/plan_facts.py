"""The facts a plan is made of, read once: catalogs, the model's own header, what was measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pilotlight.config import Settings
from pilotlight.core import ModelRef
from pilotlight.errors import ConfigError, PlanError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.catalog.model import CatalogModel
    from pilotlight.planner.search import Facts
    from pilotlight.planner.variants import Variant


def read_catalog(settings: Settings) -> Catalog:
    from pilotlight.catalog import files_of, load

    return load(files_of(settings.data_dir, map(Path, settings.catalog)))


def facts(catalog: Catalog, settings: Settings, *, here: bool) -> Facts:
    """Of the catalog; with `here` also of this machine, as it was measured or is known."""
    from pilotlight.calibration.reports import reported_rates
    from pilotlight.catalog.platform import rentables
    from pilotlight.planner.search import Facts

    known = Facts(
        gpus=catalog.gpus,
        cpus=catalog.cpus,
        rented=rentables(catalog.platforms, catalog.offers),
        apis=catalog.apis,
        rates=reported_rates(settings.data_dir),
    )
    if not here:
        return known
    from pilotlight.cli.plan_here import with_this_machine

    return with_this_machine(known, catalog, settings)


def variants_of(
    catalog: Catalog,
    settings: Settings,
    model: str | None,
    grade: str | None,
    quantizations: Sequence[str],
) -> tuple[Variant, ...]:
    """What MODEL can be: a catalog's name in several quantizations, a file's header as it is, or
    every model of a capability class.

    Raises:
        PlanError: neither or both are named, or nothing has that name.
    """
    from pilotlight.planner.variants import variants

    if (model is None) == (grade is None):
        raise PlanError(
            "give a MODEL or --class" if model is None else "MODEL and --class exclude each other",
            hint="pilotlight catalog list models shows what there is",
        )
    if model is not None and (row := catalog.models.seek(model)) is None:
        return _from_ref(catalog, settings, model, quantizations)
    rows = [row] if model is not None and row else _of_grade(catalog, str(grade))
    return tuple(v for each in rows for v in variants(each, catalog.quantizations, quantizations))


def _of_grade(catalog: Catalog, grade: str) -> list[CatalogModel]:
    rows = [row for row in catalog.models.values() if row.grade == grade and "chat" in row.skills]
    if not rows:
        grades = dict.fromkeys(row.grade for row in catalog.models.values())
        raise PlanError(f"unknown class {grade!r}", hint=f"one of {', '.join(grades)}")
    return rows


def _from_ref(
    catalog: Catalog, settings: Settings, text: str, wanted: Sequence[str]
) -> tuple[Variant, ...]:
    """A path or a ref: what its header says counts, not its name. It is in one quantization, beside
    what an engine makes of it as it loads; `wanted` may choose among those."""
    from pilotlight.cli.planned_model import planned_model
    from pilotlight.planner.variants import exactly

    ref = ModelRef.parse(text)
    if ref.scheme == "file" and not Path(ref.locator).expanduser().exists():
        raise _unknown(catalog, text)
    if ref.scheme == "file":
        ref = ModelRef("file", str(Path(ref.locator).expanduser().absolute()))
    found = exactly(planned_model(settings, ref, _name(ref)), catalog.quantizations)
    chosen = tuple(v for v in found if not wanted or v.quantization.name in wanted)
    if not chosen:
        has = " or ".join(variant.quantization.name for variant in found)
        raise PlanError(
            f"{text!r} is in {has}, not in {' or '.join(wanted)}",
            hint="leave the quantization out, or name a catalog model",
        )
    return chosen


_MIX = re.compile(r"[-.](I?Q\d\w*|B?F(16|32)|MXFP4\w*)$", re.IGNORECASE)
"""What a file's name ends in to say its quantization, which a plan says anyway."""


def _name(ref: ModelRef) -> str:
    """What people call it: the file or the repository, without where it lies."""
    last = ref.locator.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
    return _MIX.sub("", last.partition("@")[0].partition(":")[0])


def _unknown(catalog: Catalog, text: str) -> PlanError:
    """Neither a file nor a name of the catalog, whose hint has the names that are close."""
    try:
        catalog.models.find(text)
    except ConfigError as error:
        return PlanError(f"{error.message}, and no such file", hint=error.hint)
    raise AssertionError(f"{text!r} is in the catalog after all")
