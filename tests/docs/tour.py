"""Walks a page's executable blocks in order, as a reader with a terminal or two would.

The working directory looks like the repository after `make serve` installed it:
its Makefile and locks, and a `.venv` that is this interpreter's. Only the port
in the text is another one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .blocks import REPOSITORY, Block

PORT = "127.0.0.1:8080"
TIMEOUT_S = 180
ENGINE_CORES = 2


class Tour:
    """Owns the server that the page's last serving block started."""

    def __init__(self, directory: Path, store: Path, blocks: list[Block]) -> None:
        self._directory = directory
        self._blocks = blocks
        self._done = 0
        self._port = _free_port()
        self._data_dir = directory / "data"
        self._server: subprocess.Popen[str] | None = None
        _lay_out(directory)
        self._data_dir.mkdir()
        (self._data_dir / "store").symlink_to(store, target_is_directory=True)

    def walk_to(self, index: int) -> str:
        """Execute the blocks up to `index`; the output of that one."""
        output = ""
        while self._done <= index:
            block = self._blocks[self._done]
            self._done += 1
            output = self._execute(block)
        return output

    def _execute(self, block: Block) -> str:
        text = block.text.replace(PORT, f"127.0.0.1:{self._port}")
        if block.language == "python":
            return self._run(block, (sys.executable, "-c", text))
        if re.match(r"(make|pilotlight) serve\b", text):
            return self._serve(block, text)
        return self._run(block, ("bash", "-euo", "pipefail", "-c", text))

    def _run(self, block: Block, argv: tuple[str, ...]) -> str:
        done = subprocess.run(
            argv,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"line {block.line} ended with {done.returncode}:\n{said}"
        return done.stdout

    def _serve(self, block: Block, text: str) -> str:
        """The block's command runs on until the next one like it; returns once it serves."""
        self.close()
        self._server = subprocess.Popen(
            ("bash", "-euo", "pipefail", "-c", text),
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_bound_cores,
        )
        assert self._server.stderr is not None
        said = ""
        for line in self._server.stderr:
            said += line
            if line.startswith("  curl"):
                return said
        raise AssertionError(f"line {block.line} ended with {self._server.wait()}:\n{said}")

    def close(self) -> None:
        """Ctrl-C at the server's terminal."""
        if self._server is None:
            return
        server, self._server = self._server, None
        if server.poll() is None:
            pid = json.loads((self._data_dir / "server.json").read_text())["pid"]
            os.kill(pid, signal.SIGINT)
        _, said = server.communicate(timeout=TIMEOUT_S)
        assert server.returncode == 0, said

    @property
    def _environment(self) -> Mapping[str, str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PILOTLIGHT_", "MAKE", "MFLAGS"))
        }
        return {
            **clean,
            "PATH": f"{self._directory / '.venv' / 'bin'}{os.pathsep}{clean['PATH']}",
            "PILOTLIGHT_DATA_DIR": str(self._data_dir),
            "PILOTLIGHT_PORT": str(self._port),
            "NO_PROXY": "127.0.0.1",
        }


def _lay_out(directory: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (directory / name).symlink_to(REPOSITORY / name)
    venv = directory / ".venv"
    venv.mkdir()
    (venv / "bin").symlink_to(Path(sys.prefix) / "bin", target_is_directory=True)
    (venv / ".installed-serve").touch()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bound_cores() -> None:
    """The engine takes a thread for each core it may use; a test shares the machine."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:ENGINE_CORES])
