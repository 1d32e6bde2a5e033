"""Folders of the context: the same content is the same layer."""

from __future__ import annotations

import marshal
from pathlib import Path

import pytest

from pilotlight.deploy.image import code, tree
from pilotlight.deploy.image.spec import CODE
from pilotlight.errors import DeployError

EPOCH_S = 1_000_000_000


def make(root: Path) -> Path:
    (root / "package" / "__pycache__").mkdir(parents=True)
    (root / "package" / ".cache").mkdir()
    (root / "package" / "a.py").write_text("A = 1\n")
    (root / "package" / "run.sh").write_text("#!/bin/sh\n")
    (root / "package" / "run.sh").chmod(0o700)
    (root / "package" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"stale")
    (root / "package" / ".cache" / "x").write_text("x")
    return root / "package"


def test_copies_without_what_tools_leave(tmp_path: Path) -> None:
    tree.copy(make(tmp_path), tmp_path / "copy")
    found = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert found == {"a.py", "run.sh"}


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"there is no '.*nothing'"):
        tree.copy(tmp_path / "nothing", tmp_path / "copy")


def test_twice_made_is_byte_for_byte_the_same(tmp_path: Path) -> None:
    digests, stats = [], []
    for name in ("one", "two"):
        root = tmp_path / name
        tree.copy(make(tmp_path / f"from-{name}"), root)
        tree.compile_python(root, "/opt/app")
        tree.settle(root, EPOCH_S)
        digests.append(tree.digest(root))
        stats.append([(p.stat().st_mode, p.stat().st_mtime) for p in sorted(root.rglob("*"))])
    assert digests[0] == digests[1]
    assert stats[0] == stats[1]
    assert {mode & 0o777 for mode, _ in stats[0]} == {0o755, 0o644}
    assert {modified for _, modified in stats[0]} == {EPOCH_S}


def test_another_content_mode_or_name_is_another_layer(tmp_path: Path) -> None:
    root = make(tmp_path)
    seen = {tree.digest(root)}
    (root / "a.py").write_text("A = 2\n")
    seen.add(tree.digest(root))
    (root / "a.py").chmod(0o755)
    seen.add(tree.digest(root))
    (root / "a.py").rename(root / "b.py")
    seen.add(tree.digest(root))
    assert len(seen) == 4


def test_bytecode_is_believed_unseen_and_knows_where_it_will_lie(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "template.py").write_text("{% not python %}\n")
    tree.compile_python(tmp_path, "/opt/app")
    (compiled,) = (tmp_path / "__pycache__").iterdir()
    content = compiled.read_bytes()
    assert int.from_bytes(content[4:8], "little") == 0b01  # hash-based, never checked (PEP 552)
    assert marshal.loads(content[16:]).co_filename == "/opt/app/a.py"


def test_each_layer_of_code_has_its_parts_and_the_tools_no_bytecode(tmp_path: Path) -> None:
    package = tmp_path / "pilotlight"
    for part in ("gateway", "cli", "testing", "bench", "engines", "store", "brand_new"):
        (package / part).mkdir(parents=True)
        (package / part / "__init__.py").write_text("")
    (package / "core.py").write_text("")
    code.stage(tmp_path / "context", package)
    found = {
        folder: {path.name for path in (tmp_path / "context" / folder / "pilotlight").iterdir()}
        for folder in CODE
    }
    assert found == {
        "measuring": {"bench"},
        "tools": {"cli"},
        "keeping": {"store"},
        "engines": {"engines"},
        "serving": {"gateway", "brand_new", "core.py", "__pycache__"},
    }
    compiled = {path.parent.parent.name for path in (tmp_path / "context").rglob("*.pyc")}
    assert compiled == {"store", "engines", "gateway", "brand_new", "pilotlight"}
    assert set(CODE) == {*code.LAYERS, code.SERVING}
