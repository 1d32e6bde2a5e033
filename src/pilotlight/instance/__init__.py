"""One instance of a deployment: what runs in the image, on every platform alike."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """The program `pilotlight-instance`."""
    from pilotlight.instance.program import main as run

    run()
