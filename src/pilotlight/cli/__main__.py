"""``python -m pilotlight.cli``, for an interpreter whose scripts are not on PATH."""

from __future__ import annotations

from pilotlight.cli.app import main

main()
