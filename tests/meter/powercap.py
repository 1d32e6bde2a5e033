"""A powercap tree as the kernel has it, whose counters a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RANGE_UJ = 262_143_328_850
"""Of a Xeon's package."""


@dataclass
class Zone:
    path: Path
    range_uj: int

    def set(self, microjoules: int) -> None:
        (self.path / "energy_uj").write_text(f"{microjoules}\n")

    def add(self, joules: float) -> None:
        """As the hardware does: from 0 again after the last count."""
        now = int((self.path / "energy_uj").read_text())
        self.set((now + round(joules * 1e6)) % self.range_uj)


def zone(parent: Path, number: str, name: str, *, range_uj: int = RANGE_UJ, uj: int = 0) -> Zone:
    path = parent / f"intel-rapl:{number}"
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    made = Zone(path, range_uj)
    made.set(uj)
    return made


@dataclass
class Tree:
    """Two sockets with memory, and the zones that hold the same joules again."""

    root: Path
    packages: tuple[Zone, Zone]
    memory: Zone
    others: tuple[Zone, ...]


def tree(root: Path) -> Tree:
    rapl = root / "intel-rapl"
    first = zone(rapl, "0", "package-0", uj=5_000_000)
    core = zone(first.path, "0:0", "core")
    dram = zone(first.path, "0:1", "dram", range_uj=65_712_999_613)
    second = zone(rapl, "1", "package-1")
    board = zone(rapl, "2", "psys")
    mmio = zone(root / "intel-rapl-mmio", "0", "package-0")
    for path in (first.path, second.path, board.path, core.path, dram.path):
        (root / path.name).symlink_to(path)
    return Tree(root, (first, second), dram, (core, board, mmio))
