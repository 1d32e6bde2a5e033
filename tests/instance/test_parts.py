"""An instance imports nothing of what lies in the image's other layer of code."""

from __future__ import annotations

import subprocess
import sys

from pilotlight.deploy.image.code import TOOLS

IMPORTING = """
import importlib, pathlib, sys
import pilotlight

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[:1] == ["pilotlight"] and name.split(".")[1:2][0] in {tools}:
            raise SystemExit(f"an instance imports {{name}}")

sys.meta_path.insert(0, Refuse())
root = pathlib.Path(pilotlight.__file__).parent
parts = [*root.glob("instance/*.py"), *root.glob("gateway/*.py"), *root.glob("fleet/**/*.py"),
         *root.glob("engines/*/engine.py"), *root.glob("engines/*.py")]
for path in sorted(parts):
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    if path.stem not in ("__main__", "__init__"):
        importlib.import_module(f"pilotlight.{{name}}")
"""


def test_the_server_needs_none_of_the_commands() -> None:
    program = IMPORTING.format(tools=set(TOOLS))
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
