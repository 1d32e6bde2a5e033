"""`keys`: the text once, the rest at will."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotlight.gateway.keys import KeyStore

from .conftest import Call


def _store(home: Path) -> KeyStore:
    return KeyStore(home / "data/pilotlight/keys.json")


def test_create_prints_the_key_alone_on_stdout(call: Call, home: Path) -> None:
    result = call("keys", "create", "--name", "laptop")
    assert result.exit_code == 0
    key = _store(home).check(result.stdout.strip())
    assert (key.name, key.role, key.expires_s) == ("laptop", "user", None)
    assert "can't be shown again" in result.stderr
    assert result.stdout.strip() not in result.stderr


def test_an_admin_key_that_expires(call: Call, home: Path) -> None:
    answer = json.loads(call("keys", "create", "--admin", "--expires", "30d", "--json").stdout)
    key = _store(home).check(answer["key"])
    assert key.role == "admin"
    assert key.expires_s is not None
    assert key.expires_s - key.created_s == 30 * 86400


@pytest.mark.parametrize("lifetime", ["soon", "0", "forever", "-1"])
def test_a_wrong_lifetime_makes_no_key(call: Call, home: Path, lifetime: str) -> None:
    result = call("keys", "create", f"--expires={lifetime}")
    assert result.exit_code == 2
    assert not _store(home).any()


def test_list_shows_states_and_no_secret(call: Call) -> None:
    texts = [call("keys", "create", "--name", name).stdout.strip() for name in ("a", "b")]
    call("keys", "revoke", texts[0][3:11])
    result = call("keys", "list")
    rows = {line.split()[1]: line.split()[-1] for line in result.stdout.splitlines()[1:]}
    assert rows == {"a": "revoked", "b": "works"}
    entries = json.loads(call("keys", "list", "--json").stdout)["keys"]
    assert [entry["state"] for entry in entries] == ["revoked", "works"]
    assert not any(text[12:] in result.stdout + str(entries) for text in texts)


def test_revoking_an_unknown_key_exits_4(call: Call) -> None:
    result = call("keys", "revoke", "nobody00")
    assert result.exit_code == 4
    assert result.stderr == "error: no key has the id 'nobody00'\nhint: see pilotlight keys list\n"


def test_the_data_dir_may_be_named(call: Call, home: Path) -> None:
    call("keys", "create", "--data-dir", str(home / "other"))
    (home / "p.yaml").write_text(f"data_dir: {home}/other\n")
    assert len(json.loads(call("keys", "list", "--config", "p.yaml", "--json").stdout)["keys"]) == 1
