"""`store list|show|rm|pin|unpin|gc|verify` on a real store, fetched from a real server."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight.config import StoreSettings
from pilotlight.core import ModelRef
from pilotlight.store.store import Store

from .conftest import Call
from .test_pull import Holding

MODEL = b"GGUF" + bytes(range(256)) * 400
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def ref(call: Call) -> Iterator[str]:
    """Of a model that was pulled; its server is still there."""
    with Holding(MODEL, after_bytes=2**40) as server:
        url = f"{server.url}/small.gguf"
        assert call("pull", url).exit_code == 0
        yield url


def read(call: Call, *arguments: str) -> Any:
    result = call("store", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def directory(home: Path) -> Path:
    return home / "data/pilotlight/store"


def test_an_empty_store_lists_nothing(call: Call) -> None:
    assert read(call, "list") == {"models": []}
    assert call("store", "list").stdout.split() == [
        "REF", "FILES", "SIZE", "FETCHED", "USED", "STATE", "WHERE",
    ]  # fmt: skip


def test_a_model_is_listed(call: Call, ref: str, home: Path) -> None:
    (entry,) = read(call, "list")["models"]
    assert (entry["ref"], entry["files"], entry["size_bytes"]) == (ref, 1, len(MODEL))
    assert [entry[state] for state in ("pinned", "loaded", "shared")] == [False] * 3
    row = call("store", "list").stdout.splitlines()[1]
    assert row.startswith(f"{ref}  1      102.4 kB")
    assert row.endswith(entry["path"])
    assert Path(entry["path"]).read_bytes() == MODEL


def test_a_store_may_be_elsewhere_and_shared(call: Call, ref: str, home: Path) -> None:
    place = ("--store-directory", str(home / "own"), "--store-shared", str(directory(home)))
    (entry,) = read(call, "list", *place)["models"]
    assert entry["shared"]
    result = call("store", "rm", ref, *place)
    assert result.exit_code == 4
    assert "removed where it is kept" in result.stderr


def test_a_model_is_shown_with_its_files(call: Call, ref: str) -> None:
    shown = read(call, "show", ref)
    assert shown["files"] == [
        {"name": "small.gguf", "size_bytes": len(MODEL), "sha256": SHA256, "chunks": 1}
    ]
    assert shown["digest"] == f"sha256:{SHA256}"
    text = call("store", "show", ref).stdout
    assert SHA256 in text
    assert f"source    {ref}" in text


@pytest.mark.parametrize("command", ["show", "rm", "pin", "unpin", "verify"])
def test_a_model_that_isnt_there_has_its_own_exit_code(call: Call, command: str) -> None:
    result = call("store", command, "https://host.invalid/none.gguf")
    assert result.exit_code == 4
    assert "none.gguf" in result.stderr


def test_a_pinned_model_stays(call: Call, ref: str) -> None:
    assert call("store", "pin", ref).stdout == f"pinned {ref}\n"
    assert read(call, "list")["models"][0]["pinned"]
    result = call("store", "rm", ref)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert read(call, "gc", "--store-max-size", "0")["removed"] == []
    assert call("store", "unpin", ref).exit_code == 0
    assert read(call, "rm", ref) == {"removed": {ref: len(MODEL)}}
    assert read(call, "list") == {"models": []}


def test_a_loaded_model_stays(call: Call, ref: str, home: Path) -> None:
    store = Store(directory(home), StoreSettings())
    files = store.present(ModelRef.parse(ref))
    assert files is not None
    with store.hold(files):
        assert read(call, "list")["models"][0]["loaded"]
        result = call("store", "rm", ref)
        assert result.exit_code == 1
        assert "running server" in result.stderr
        assert read(call, "rm", ref, "--force") == {"removed": {ref: len(MODEL)}}


def test_collecting_says_what_goes(call: Call, ref: str, home: Path) -> None:
    (directory(home) / "from-before").mkdir()
    told = call("store", "gc", "--dry-run", "--store-max-size", "1kB").stdout
    assert f"would remove {ref}" in told
    assert "102.4 kB to free, 0 B kept" in told
    assert f"left alone: {directory(home) / 'from-before'}" in told
    assert read(call, "gc")["removed"] == [], "no bounds, nothing to remove"
    os.utime(next(directory(home).glob("models/*/used")), (0, 0))
    assert read(call, "gc", "--store-max-age", "30d")["removed"] == [ref]


def test_a_flipped_bit_is_found_and_mended(call: Call, ref: str, home: Path) -> None:
    path = Path(read(call, "list")["models"][0]["path"]).resolve()
    assert "small.gguf: good" in call("store", "verify", "--all").stdout
    flip(path)
    (model,) = read(call, "verify", ref)["models"]
    assert model["files"] == [
        {"name": "small.gguf", "good": True, "mended": True, "chunks": [0], "reason": None}
    ]
    assert path.read_bytes() == MODEL


def test_what_stays_damaged_fails(call: Call, ref: str, home: Path) -> None:
    flip(Path(read(call, "list")["models"][0]["path"]).resolve())
    result = call("store", "verify", ref, "--store-offline")
    assert result.exit_code == 1
    assert "small.gguf: DAMAGED, chunks 0" in result.stdout
    assert "1 of 1 models stay damaged" in result.stderr
    assert [entry["damaged"] for entry in read(call, "list")["models"]] == [True]
    assert "  damaged  " in call("store", "list").stdout


@pytest.mark.parametrize("arguments", [[], ["--all", "https://host.invalid/m.gguf"]])
def test_verify_wants_refs_or_all(call: Call, arguments: list[str]) -> None:
    assert call("store", "verify", *arguments).exit_code == 2


def flip(path: Path) -> None:
    found = path.stat()
    path.chmod(0o644)
    path.write_bytes(MODEL[:-1] + b"!")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
