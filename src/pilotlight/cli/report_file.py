"""A benchmark's report on disk, and what it is said to have run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pilotlight.cli.flags import with_options
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.catalog import Catalog
    from pilotlight.config import Settings
    from pilotlight.planner.model import PlannedModel

_Function = TypeVar("_Function", bound=Callable[..., Any])


def what_ran_flags(*, gpu_required: bool) -> Callable[[_Function], _Function]:
    """--model, --quant, --gpu and --gpus of a command that reads somebody's report."""
    options = (
        click.option("--model", required=True, metavar="MODEL",
                     help="what ran: a name or a model ref"),
        click.option("--quant", metavar="NAME",
                     help="its quantization, where MODEL is a catalog's name"),
        click.option("--gpu", required=gpu_required, metavar="NAME", help="what it ran on"),
        click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                     help="how many of them one replica was spread over"),
    )  # fmt: skip

    def decorate(function: _Function) -> _Function:
        return with_options(function, options)

    return decorate


def read_report(path: Path) -> dict[str, Any]:
    """The decoded JSON.

    Raises:
        PlanError: it can't be read, or isn't an object.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise PlanError(
            f"can't read the report {str(path)!r}: {error.strerror}",
            hint="give a file that is there",
        ) from error
    except ValueError as error:
        raise PlanError(
            f"{str(path)!r} isn't JSON: {error}", hint="give the tool's JSON output"
        ) from error
    if not isinstance(document, dict):
        raise PlanError(
            f"{str(path)!r} holds a {type(document).__name__}, not an object",
            hint="give the tool's summary, not its list of requests",
        )
    return document


def what_ran(
    catalog: Catalog, chosen: Settings, model: str, quantization: str | None
) -> PlannedModel:
    """The model by name or ref, in its quantization.

    Raises:
        PlanError: nobody says in which of its quantizations a catalog's model ran.
    """
    from pilotlight.cli.plan_facts import variants_of

    if quantization is None and catalog.models.seek(model) is not None:
        raise PlanError(
            f"{model!r} ran in which quantization?", hint="give --quant, such as bf16 or q4_k_m"
        )
    wanted = (catalog.quantizations.find(quantization).name,) if quantization else ()
    return variants_of(catalog, chosen, model, None, wanted)[0].model
