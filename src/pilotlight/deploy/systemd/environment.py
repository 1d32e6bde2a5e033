"""A release's own virtual environment, beside its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pilotlight.deploy.server.command import Commands, checked

_INSTALL_S = 1800.0


@dataclass(frozen=True, slots=True)
class Environment:
    commands: Commands
    python: Path
    """The interpreter it is made by."""

    def make(self, place: Path) -> None:
        """In the folder `place`, from its requirements. Blocks. Raises DeployError.

        A virtual environment can't be moved, so it is made where it will be used.
        """
        venv = place / "venv"
        checked(
            self.commands.run((str(self.python), "-m", "venv", str(venv)), timeout_s=_INSTALL_S),
            f"making a virtual environment with {str(self.python)!r}",
            hint="give another interpreter with --set systemd.python=PATH; Debian's needs "
            "python3-venv",
        )
        checked(
            self.commands.run(
                (
                    str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet",
                    "--disable-pip-version-check", "--requirement", str(place / "requirements.txt"),
                ),
                timeout_s=_INSTALL_S,
            ),
            "installing the release",
            hint="pip's own configuration says where packages come from; give a wheel with "
            "--set systemd.package=PATH",
        )  # fmt: skip
