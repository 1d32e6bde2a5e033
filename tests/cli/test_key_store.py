"""The key store: shown once, kept as a hash, revoked while it runs, shared by processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from pilotlight.errors import ConfigError, UnauthorizedError, UnknownKeyError
from pilotlight.gateway.keys import Key, KeyStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> KeyStore:
    return KeyStore(tmp_path / "made" / "keys.json", clock)


def test_a_new_key_works_and_says_who_it_is(store: KeyStore) -> None:
    key, text = store.create("laptop", "admin", None)
    assert re.fullmatch(r"pl-[a-z0-9]{8}-[A-Za-z0-9_-]{43}", text)
    assert store.check(text) == key
    assert (key.name, key.role, text[3:11]) == ("laptop", "admin", key.id)


def test_no_file_holds_a_secret_and_nobody_else_may_read_them(
    store: KeyStore, tmp_path: Path
) -> None:
    _, text = store.create("a", "user", None)
    secret = text[12:]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"keys.json", "keys.json.lock"}
    for path in files:
        assert secret not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
    assert secret not in repr(store.list())


def test_it_keeps_the_file_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyStore(tmp_path / "keys.json").create("a", "user", None)
    finally:
        os.umask(before)
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def _refusal(store: KeyStore, text: str) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        store.check(text)
    return str(caught.value)


def test_every_unusable_key_gets_the_same_answer(store: KeyStore, clock: Clock) -> None:
    _, good = store.create("good", "user", None)
    revoked, revoked_text = store.create("revoked", "user", None)
    _, expired_text = store.create("expired", "user", 60.0)
    store.revoke(revoked.id)
    clock.now_s += 60.0
    unknown = good.replace(good[3:11], "zzzzzzzz")
    wrong = good[:-1] + ("A" if good[-1] != "A" else "B")
    bad = ["", "nonsense", "pl-", "ключ", good + "x", good[:-1], unknown, wrong,
           revoked_text, expired_text, " " + good, good + "\n"]  # fmt: skip
    assert len({_refusal(store, text) for text in bad}) == 1
    assert store.check(good).name == "good"


def test_one_comparison_is_made_whatever_is_presented(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hmac

    _, good = store.create("good", "user", None)
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def spy(a: str, b: str) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    for text in (good, "", good.replace(good[3:11], "zzzzzzzz")):
        compared.clear()
        try:
            store.check(text)
        except UnauthorizedError:
            pass
        assert len(compared) == 1


def test_a_key_works_until_the_moment_it_expires(store: KeyStore, clock: Clock) -> None:
    _, text = store.create("short", "user", 60.0)
    clock.now_s += 59.9
    store.check(text)
    clock.now_s += 0.2
    _refusal(store, text)


def test_another_process_revokes_and_the_running_one_refuses(
    store: KeyStore, tmp_path: Path
) -> None:
    key, text = store.create("a", "user", None)
    store.check(text)
    program = (
        "import sys; from pathlib import Path; from pilotlight.gateway.keys import KeyStore;"
        "KeyStore(Path(sys.argv[1])).revoke(sys.argv[2])"
    )
    path = tmp_path / "made" / "keys.json"
    subprocess.run([sys.executable, "-c", program, str(path), key.id], check=True, timeout=60)
    _refusal(store, text)


def test_revoking_the_last_key_does_not_open_the_server(store: KeyStore) -> None:
    assert not store.any()
    key, _ = store.create("only", "user", None)
    store.revoke(key.id)
    assert store.any()


def test_revoking_twice_keeps_the_first_time(store: KeyStore, clock: Clock) -> None:
    key, _ = store.create("a", "user", None)
    first = store.revoke(key.id)
    clock.now_s += 5
    assert store.revoke(key.id) == first


def test_an_unknown_id_is_named(store: KeyStore) -> None:
    with pytest.raises(UnknownKeyError, match="'nobody00'"):
        store.revoke("nobody00")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": 1}', '{"keys": [{"id": "x"}]}'])
def test_a_broken_file_locks_out_rather_than_in(
    store: KeyStore, tmp_path: Path, content: str
) -> None:
    _, text = store.create("a", "user", None)
    (tmp_path / "made" / "keys.json").write_text(content)
    for ask in (store.any, lambda: store.check(text), lambda: store.create("b", "user", None)):
        with pytest.raises(ConfigError, match="can't read the keys"):
            ask()


def test_writers_in_other_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    program = (
        "import sys; from pathlib import Path; from pilotlight.gateway.keys import KeyStore;"
        "store = KeyStore(Path(sys.argv[1]));"
        "[store.revoke(store.create(sys.argv[2], 'user', None)[0].id) for _ in range(10)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), f"w{n}"]) for n in range(4)
    ]
    reader = KeyStore(path)
    seen = 0
    while any(writer.poll() is None for writer in writers):
        now = len(reader.list())  # a half-written file would raise here
        assert now >= seen
        seen = now
    assert [writer.returncode for writer in writers] == [0] * 4
    keys = reader.list()
    assert len(keys) == len({key.id for key in keys}) == 40
    assert all(key.revoked_s is not None for key in keys)
    assert [p.name for p in tmp_path.glob("*.partial")] == []


def test_a_check_is_cheap(store: KeyStore) -> None:
    for n in range(20):
        _, text = store.create(str(n), "user", None)
    store.check(text)
    best_s = min(_timed(store, text) for _ in range(20))
    assert best_s < 10e-6


def _timed(store: KeyStore, text: str) -> float:
    began_s = time.perf_counter()
    for _ in range(500):
        store.check(text)
    return (time.perf_counter() - began_s) / 500


@given(st.text())
def test_any_text_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        KeyStore(Path("/nonexistent/keys.json")).check(text)


class Keys(RuleBasedStateMachine):
    """Two stores on one file, as a server and a command line are, against a plain model."""

    texts = Bundle("texts")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.clock = Clock()
        path = Path(self.directory.name) / "keys.json"
        self.server = KeyStore(path, self.clock)
        self.console = KeyStore(path, self.clock)
        self.works_until: dict[str, float] = {}
        self.path = path

    @rule(target=texts, lifetime_s=st.none() | st.floats(1, 100))
    def create(self, lifetime_s: float | None) -> str:
        _, text = self.console.create("k", "user", lifetime_s)
        ends_s = float("inf") if lifetime_s is None else self.clock.now_s + lifetime_s
        self.works_until[text] = ends_s
        return text

    @rule(text=texts)
    def revoke(self, text: str) -> None:
        self.console.revoke(text[3:11])
        self.works_until[text] = 0.0

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @invariant()
    def the_server_agrees(self) -> None:
        for text, until_s in getattr(self, "works_until", {}).items():
            if self.clock.now_s < until_s:
                assert isinstance(self.server.check(text), Key)
            else:
                _refusal(self.server, text)

    def teardown(self) -> None:
        if not hasattr(self, "directory"):
            return
        if self.works_until:
            stored = json.dumps(json.loads(self.path.read_text()))
            assert not any(text[12:] in stored for text in self.works_until)
        self.directory.cleanup()


TestKeys = Keys.TestCase
TestKeys.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
