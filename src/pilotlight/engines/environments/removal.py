"""Take an engine off the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pilotlight.engines.environments.environment import CURRENT
from pilotlight.engines.environments.lock import exclusive
from pilotlight.engines.environments.usage import in_use
from pilotlight.errors import EngineInstallError


def remove(directory: Path, name: str, *, force: bool = False) -> bool:
    """Whether there was something: a finished engine, or what an interrupted install left.

    Raises:
        EngineInstallError: a process runs from it, and `force` wasn't given; or an install
            of it is under way.
    """
    home = (directory / name).absolute()
    if not home.is_dir():
        return False
    with exclusive(home, _busy(name)):
        running = in_use(home)
        if running and not force:
            raise EngineInstallError(
                f"{name} is in use by process {', '.join(map(str, running))}",
                hint="stop the models it runs (pilotlight stop MODEL), or give --force",
            )
        # The link first: from here on nothing new starts from it.
        (home / CURRENT).unlink(missing_ok=True)
        places = [place for place in home.iterdir() if place.is_dir()]
        for place in places:
            shutil.rmtree(place)
    # The lock file stays: unlinking one that somebody waits for would let two in.
    return bool(places)


def _busy(name: str) -> Callable[[], None]:
    def refuse() -> None:
        raise EngineInstallError(
            f"an install of {name} is under way", hint="stop it, or wait until it has ended"
        )

    return refuse
