"""Files of computed prompts: none is handed out whose bytes aren't those that were kept.

<key>.<sha256>.state      what llama.cpp saved; its own hash in its name, so that a rename
                          publishes both at once
<key>.<random>.partial    being saved
<key>.refused             why nothing is tried for this key, for a while

llama.cpp itself believes a file that has the right first bytes (state_seq_load_file in
llama-context.cpp), and ends the process over one that has the wrong ones further on.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from pilotlight.engines.base import ModelJob

BUDGET_BYTES = 4 * 2**30
PARTIAL_AGE_S = 3600.0
REFUSAL_AGE_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class PromptShelf:
    """Methods read or write files and may block: `find` reads a whole one."""

    directory: Path
    budget_bytes: int = BUDGET_BYTES

    def make(self) -> None:
        """What a prompt holds is its owner's affair: nobody else can look in."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: str) -> str | None:
        """The name of a whole file for `key`; damaged ones are removed."""
        for path in self.directory.glob(f"{key}.*.state"):
            if path.name == _name(key, path):
                os.utime(path)  # it was used just now
                return path.name
            path.unlink(missing_ok=True)
        return None

    def partial(self, key: str) -> str:
        """A name to save under that nobody else uses."""
        return f"{key}.{secrets.token_hex(8)}.partial"

    def adopt(self, key: str, partial: str) -> str:
        """Publish what was saved as `partial`; returns its name from now on."""
        path = self.directory / partial
        path.chmod(0o600)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        name = _name(key, path)
        os.replace(path, self.directory / name)
        return name

    def drop(self, key: str) -> None:
        """What is published for `key`; another replica may be saving its own just now."""
        for path in self.directory.glob(f"{key}.*.state"):
            path.unlink(missing_ok=True)

    def refuse(self, key: str, reason: str) -> None:
        """Have `key` left alone: a second try would cost another crash or another wait."""
        self.drop(key)
        (self.directory / f"{key}.refused").write_text(reason)

    def refusal(self, key: str) -> str | None:
        try:
            return (self.directory / f"{key}.refused").read_text()
        except FileNotFoundError:
            return None

    def sweep(self, now_s: float) -> None:
        """Remove what is left over, and then what was used longest ago, down to the budget."""
        left: list[tuple[float, int, Path]] = []
        for path in self.directory.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another server sweeps too
            if now_s - status.st_mtime > _LIFETIMES_S.get(path.suffix, float("inf")):
                path.unlink(missing_ok=True)
            elif path.suffix == ".state":
                left.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in left) - self.budget_bytes
        for _, size, path in sorted(left):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size


_LIFETIMES_S = {".partial": PARTIAL_AGE_S, ".refused": REFUSAL_AGE_S}


def shelf_of(job: ModelJob) -> PromptShelf | None:
    """Where the states of `job`'s system prompts are; None without any."""
    prompts = job.system_prompts
    return None if prompts is None else PromptShelf(prompts.directory / "llamacpp")


def _name(key: str, path: Path) -> str:
    with path.open("rb") as file:
        return f"{key}.{hashlib.file_digest(file, 'sha256').hexdigest()}.state"


def sweep(shelf: PromptShelf) -> None:
    shelf.sweep(time.time())
