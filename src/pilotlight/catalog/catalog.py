"""All dated facts at hand: those of the package, and those of the user's files over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.catalog.api import ApiPrice
from pilotlight.catalog.files import Rows, read_rows
from pilotlight.catalog.hardware import Cpu, Gpu
from pilotlight.catalog.kinds import KINDS
from pilotlight.catalog.model import CatalogModel
from pilotlight.catalog.platform import Offer, Platform
from pilotlight.catalog.quantization import Quantization
from pilotlight.catalog.slo import Slo
from pilotlight.catalog.table import Table

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Catalog:
    """A table for each kind."""

    tables: Mapping[str, Table[Any]]

    @property
    def gpus(self) -> Table[Gpu]:
        return self.tables["gpus"]

    @property
    def cpus(self) -> Table[Cpu]:
        return self.tables["cpus"]

    @property
    def quantizations(self) -> Table[Quantization]:
        return self.tables["quantizations"]

    @property
    def models(self) -> Table[CatalogModel]:
        return self.tables["models"]

    @property
    def slos(self) -> Table[Slo]:
        return self.tables["slos"]

    @property
    def platforms(self) -> Table[Platform]:
        return self.tables["platforms"]

    @property
    def offers(self) -> Table[Offer]:
        return self.tables["offers"]

    @property
    def apis(self) -> Table[ApiPrice]:
        return self.tables["apis"]


def load(files: Iterable[Path] = ()) -> Catalog:
    """The package's rows, then those of `files`: the later one of a name wins, field by field.

    Blocks on reading the files.

    Raises:
        ConfigError: a file can't be read, or a row is wrong; it says where and what.
    """
    rows: Rows = {name: {} for name in KINDS}
    for path in sorted(DATA.glob("*.yaml")):
        read_rows(path, rows, new=True)
    for path in files:
        read_rows(path, rows)
    return Catalog({name: Table(kind, rows[name]) for name, kind in KINDS.items()})


def files_of(data_dir: Path, given: Iterable[Path]) -> tuple[Path, ...]:
    """The user's files: those beside the other data of this machine, then those `given`."""
    return (*sorted((data_dir / "catalog").glob("*.yaml")), *given)
