"""API keys: created, listed, revoked and checked; a file that holds no secret."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pilotlight import durable
from pilotlight.errors import ConfigError, UnauthorizedError, UnknownKeyError

Role = Literal["user", "admin"]

_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 8
_SECRET_BYTES = 32  # token_urlsafe turns them into 43 characters
_FORM = re.compile(r"pl-([a-z0-9]{8})-([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of one API key; times are seconds since the epoch."""

    id: str
    name: str
    role: Role
    digest: str = field(repr=False)
    """SHA-256 of the secret, in hex.

    A slow password hash would add nothing: the secret is 256 random bits, which
    nobody guesses at any speed, and every request pays for the check.
    """

    created_s: float
    expires_s: float | None = None
    revoked_s: float | None = None
    private: bool = False
    """Its requests never overflow to another model than the one they ask for."""

    def usable(self, now_s: float) -> bool:
        expired = self.expires_s is not None and now_s >= self.expires_s
        return self.revoked_s is None and not expired


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The file as it was read; `signature` tells whether it is still that file."""

    signature: tuple[int, int, int] | None
    keys: Mapping[str, Key]


_EMPTY = _Snapshot(None, {})


class KeyStore:
    """The keys in one file, shared by processes.

    Writers take a lock beside the file and replace it whole, so a reader sees
    the old file or the new one and takes no lock. A reader looks at the file's
    identity each time: a key revoked by another process stops at the next check.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._name = os.fspath(path)
        self._clock = clock
        self._snapshot = _EMPTY

    def create(
        self, name: str, role: Role, expires_s: float | None = None, *, private: bool = False
    ) -> tuple[Key, str]:
        """A new key and its text, which nobody can show again. `expires_s` is from now."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now_s = self._clock()
        with self._changing() as keys:
            key = Key(
                id=_fresh_id(keys),
                name=name,
                role=role,
                digest=_digest(secret),
                created_s=now_s,
                expires_s=None if expires_s is None else now_s + expires_s,
                private=private,
            )
            keys[key.id] = key
        return key, f"pl-{key.id}-{secret}"

    def list(self) -> tuple[Key, ...]:
        """Every key there ever was, oldest first."""
        return tuple(sorted(self._current().values(), key=lambda key: (key.created_s, key.id)))

    def revoke(self, id: str) -> Key:
        """Idempotent: a key revoked before keeps its first time.

        Raises:
            UnknownKeyError: no key has this id.
        """
        with self._changing() as keys:
            if id not in keys:
                raise UnknownKeyError(f"no key has the id {id!r}", hint="see pilotlight keys list")
            if keys[id].revoked_s is None:
                keys[id] = replace(keys[id], revoked_s=self._clock())
            return keys[id]

    def check(self, presented: str) -> Key:
        """The key that `presented` is.

        A wrong text, an unknown id, a revoked and an expired key all cost one
        comparison and get the same answer, so that nobody learns which ids exist.

        Raises:
            UnauthorizedError: it is no usable key.
        """
        match = _FORM.fullmatch(presented)
        id, secret = match.groups() if match else ("", "")
        key = self._current().get(id)
        same = hmac.compare_digest(_digest(secret), key.digest if key else _NOBODY)
        if key is not None and same and key.usable(self._clock()):
            return key
        raise UnauthorizedError(
            "the API key is missing, wrong, expired or revoked",
            hint="send a key of this server as Authorization: Bearer pl-…",
        )

    def any(self) -> bool:
        """Whether a key was ever made: revoking the last one must not open the server."""
        return bool(self._current())

    def _current(self) -> Mapping[str, Key]:
        try:
            status = os.stat(self._name)
        except FileNotFoundError:
            self._snapshot = _EMPTY
            return self._snapshot.keys
        if self._snapshot.signature != (status.st_mtime_ns, status.st_size, status.st_ino):
            self._snapshot = _read(self._path)
        return self._snapshot.keys

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """The keys to change, alone among writers; written when the block ends well."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{self._name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = dict(_read(self._path).keys)
            yield keys
            _write(self._path, keys)
        finally:
            os.close(lock)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _fresh_id(taken: Mapping[str, Key]) -> str:
    while True:
        id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        if id not in taken:
            return id


def _read(path: Path) -> _Snapshot:
    try:
        with path.open("rb") as file:
            # The status of this very file, not of one that replaced it meanwhile.
            status = os.fstat(file.fileno())
            keys = _parse(json.loads(file.read()))
    except FileNotFoundError:
        return _EMPTY
    except (OSError, ValueError, TypeError, KeyError) as error:
        # Never an empty store: a broken file must lock people out, not let them in.
        raise ConfigError(
            f"can't read the keys in {str(path)!r}: {type(error).__name__}",
            hint="restore the file, or delete it and create new keys",
        ) from None
    return _Snapshot((status.st_mtime_ns, status.st_size, status.st_ino), keys)


def _parse(tree: Any) -> dict[str, Key]:
    keys = [Key(**entry) for entry in tree["keys"]]
    if not all(_is_sound(key) for key in keys):
        raise ValueError
    return {key.id: key for key in keys}


def _is_sound(key: Key) -> bool:
    known = key.role in ("user", "admin") and isinstance(key.private, bool)
    return known and isinstance(key.digest, str)


def _write(path: Path, keys: Mapping[str, Key]) -> None:
    """A revoked key stays revoked after a power cut."""
    rows = [asdict(key) for key in keys.values()]
    durable.write_text(path, json.dumps({"version": 1, "keys": rows}, indent=1))
