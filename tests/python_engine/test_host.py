"""The host runs in interpreters that aren't ours: nothing but an old enough standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from pilotlight.engines.python.engine import HOST

FILES = sorted(HOST.glob("*.py"))
OLDEST = (3, 9)


def test_the_host_was_found() -> None:
    assert {"__main__.py", "service.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_syntax_is_old_enough(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=OLDEST)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_imports_the_standard_library_and_itself(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert str(node.module).split(".")[0] in sys.stdlib_module_names
