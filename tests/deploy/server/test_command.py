"""Programs that can't be run, said in a way that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.deploy.server.command import Shell
from pilotlight.errors import ConfigError


@pytest.mark.parametrize("mode", [0o644, None])
def test_a_program_that_cant_be_run_is_named(tmp_path: Path, mode: int | None) -> None:
    program = tmp_path / "python3"
    if mode is not None:
        program.write_text("")
        program.chmod(mode)
    with pytest.raises(ConfigError, match="python3"):
        Shell().run((str(program), "--version"))
    with pytest.raises(ConfigError, match="python3"):
        next(Shell().lines((str(program), "--version")))
