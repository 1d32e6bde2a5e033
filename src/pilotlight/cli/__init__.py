"""The command line: parse, call one function, print."""

from __future__ import annotations

from pilotlight.cli.app import cli as cli
from pilotlight.cli.app import main as main
