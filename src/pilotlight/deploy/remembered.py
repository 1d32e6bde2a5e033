"""What was measured of each deployment, in the data directory: the last report of every name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pilotlight.bench import files
from pilotlight.bench.markdown import markdown
from pilotlight.bench.page.page import page
from pilotlight.bench.report import Report
from pilotlight.durable import write_text


@dataclass(frozen=True, slots=True)
class Remembered:
    """Of one name at one target; all of it blocks for as long as the disk takes."""

    directory: Path

    @classmethod
    def of(cls, data_dir: Path, target: str, name: str) -> Remembered:
        # Apart from what targets on this machine keep there, which goes when they are deleted.
        return cls(data_dir / "deploy" / "reports" / target / name)

    @property
    def report(self) -> Path:
        return self.directory / "report.json"

    def last(self) -> Report | None:
        """None before the first. Raises BenchError: it can't be read."""
        return files.read(self.report)[0] if self.report.exists() else None

    def keep(self, report: Report) -> tuple[Path, ...]:
        """In place of the one before; the paths of what was written. Raises OSError."""
        files.write(report, self.report)
        pages = {"report.html": page((report,)), "report.md": markdown((report,))}
        for name, text in pages.items():
            write_text(self.directory / name, text, mode=files.MODE)
        return (self.report, *(self.directory / name for name in pages))
