"""Which kept states are handed out, under which key, and how both programs are told where."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob, Remembers, Seat, SystemPrompts
from pilotlight.engines.llamacpp.prompt_key import key_of
from pilotlight.engines.llamacpp.prompt_shelf import PARTIAL_AGE_S, REFUSAL_AGE_S, PromptShelf
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.engines.system_prompts import read
from pilotlight.errors import ConfigError
from pilotlight.machine import Machine

from .headers import write_gguf

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def shelf(tmp_path: Path) -> PromptShelf:
    shelf = PromptShelf(tmp_path / "prompts")
    shelf.make()
    return shelf


def kept(shelf: PromptShelf, key: str, content: bytes) -> Path:
    partial = shelf.partial(key)
    (shelf.directory / partial).write_bytes(content)
    return shelf.directory / shelf.adopt(key, partial)


def age(path: Path, time_s: float) -> None:
    os.utime(path, (time_s, time_s))


def test_what_was_kept_is_found_again_by_its_key_alone(shelf: PromptShelf) -> None:
    path = kept(shelf, KEY, b"state")
    assert shelf.find(KEY) == path.name
    assert shelf.find(OTHER) is None
    assert [item.name for item in shelf.directory.iterdir()] == [path.name]


def test_nobody_else_can_read_a_prompt(shelf: PromptShelf) -> None:
    assert shelf.directory.stat().st_mode & 0o777 == 0o700
    assert kept(shelf, KEY, b"state").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", [b"stato", b"state and more", b"st", b""])
def test_a_damaged_file_is_never_handed_out(damaged: bytes, shelf: PromptShelf) -> None:
    kept(shelf, KEY, b"state").write_bytes(damaged)
    assert shelf.find(KEY) is None
    assert not list(shelf.directory.iterdir())


def test_a_whole_one_beside_a_damaged_one_is_found(shelf: PromptShelf) -> None:
    kept(shelf, KEY, b"one").write_bytes(b"eno")
    whole = kept(shelf, KEY, b"other")
    assert shelf.find(KEY) == whole.name


def test_a_partial_one_counts_for_nothing(shelf: PromptShelf) -> None:
    (shelf.directory / shelf.partial(KEY)).write_bytes(b"state")
    assert shelf.find(KEY) is None


def test_over_budget_those_used_longest_ago_go(shelf: PromptShelf) -> None:
    small = replace(shelf, budget_bytes=25)
    paths = {key: kept(small, key * 64, bytes(10)) for key in "cde"}
    for time_s, key in enumerate("cde", start=1000):
        age(paths[key], time_s)
    small.find("c" * 64)  # used again
    small.sweep(now_s=2000.0)
    assert {key for key, path in paths.items() if path.exists()} == {"c", "e"}


def test_one_over_the_whole_budget_is_not_kept(shelf: PromptShelf) -> None:
    kept(shelf, KEY, bytes(10))
    replace(shelf, budget_bytes=9).sweep(now_s=0.0)
    assert not list(shelf.directory.iterdir())


def test_what_a_crash_left_behind_goes_after_a_while(shelf: PromptShelf) -> None:
    left = shelf.directory / shelf.partial(KEY)
    left.write_bytes(b"half")
    age(left, 1000.0)
    shelf.sweep(now_s=1000.0 + PARTIAL_AGE_S)
    assert left.exists()
    shelf.sweep(now_s=1001.0 + PARTIAL_AGE_S)
    assert not left.exists()


def test_a_refused_key_is_left_alone_for_a_while(shelf: PromptShelf) -> None:
    kept(shelf, KEY, b"state")
    shelf.refuse(KEY, "it crashed")
    assert shelf.find(KEY) is None
    assert (shelf.refusal(KEY), shelf.refusal(OTHER)) == ("it crashed", None)
    age(shelf.directory / f"{KEY}.refused", 1000.0)
    shelf.sweep(now_s=1001.0 + REFUSAL_AGE_S)
    assert shelf.refusal(KEY) is None


def keyed(
    engine: ServerEngine,
    files: ModelFiles,
    *,
    tokens: Iterable[int] = (1, 2),
    build: str = "1",
    offloads: bool = False,
    **given: Any,
) -> str:
    job = ModelJob("tiny", files, engine.options(given))
    sizing = engine.sizing(files, job.options)
    return key_of(job, build=build, sizing=sizing, offloads=offloads, tokens=list(tokens))


@pytest.fixture
def engine(machine: Machine) -> ServerEngine:
    return ServerEngine(Path(os.devnull), "1", machine, lambda: False)


CHANGES: tuple[dict[str, Any], ...] = (
    {"tokens": (1, 3)}, {"tokens": (1,)}, {"build": "2"}, {"offloads": True}, {"context": 512},
    {"parallel": 2}, {"cache_type_k": "q8_0"}, {"flash_attention": "off"}, {"rope_scale": 2.0},
    {"swa_full": True}, {"kv_unified": True},
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_shapes_a_state_changes_its_key(
    change: dict[str, Any], engine: ServerEngine, files: ModelFiles
) -> None:
    assert keyed(engine, files) == keyed(engine, files)
    assert keyed(engine, files, **change) != keyed(engine, files)


def test_bytes_tell_models_apart_wherever_they_lie(
    engine: ServerEngine, files: ModelFiles, tmp_path: Path
) -> None:
    one, other = (f"sha256:{digit * 64}" for digit in "12")
    assert keyed(engine, replace(files, digest=one)) != keyed(engine, replace(files, digest=other))
    before = keyed(engine, replace(files, digest=one))
    moved = files.path.rename(tmp_path / "moved.gguf")
    assert keyed(engine, replace(files, path=moved, digest=one)) == before


def test_a_file_that_nobody_hashed_is_known_by_its_stamp(
    engine: ServerEngine, files: ModelFiles
) -> None:
    before = keyed(engine, files)
    age(files.path, 1000.0)
    assert keyed(engine, files) != before


def test_every_part_of_a_split_model_counts(engine: ServerEngine, tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", llama__context_length=8192)
    second = tmp_path / "m-00002-of-00002.gguf"
    second.write_bytes(b"weights")
    before = keyed(engine, first)
    age(second, 1000.0)
    assert keyed(engine, first) != before


def test_an_adapter_that_is_always_on_counts_by_its_stamp(
    engine: ServerEngine, files: ModelFiles, tmp_path: Path
) -> None:
    lora = tmp_path / "lora.gguf"
    lora.write_bytes(b"lora")
    before = keyed(engine, files, lora=str(lora))
    assert before != keyed(engine, files)
    age(lora, 1000.0)
    assert keyed(engine, files, lora=str(lora)) != before


def test_both_programs_are_told_where_states_are(
    machine: Machine, seat: Seat, files: ModelFiles, tmp_path: Path
) -> None:
    server = ServerEngine(Path("/bin/true"), "1", machine, lambda: False)
    wheel = WheelEngine("1", Path("/site"), machine, lambda: False)
    plain = ModelJob("tiny", files, server.options({}))
    job = replace(plain, system_prompts=SystemPrompts(("Be brief.",), tmp_path / "p"))
    where = tmp_path / "p" / "llamacpp"
    argv = server.command(seat, job).argv
    assert where.is_dir()  # llama-server ends without
    assert argv == (*server.command(seat, plain).argv, "--slot-save-path", str(where))
    assert wheel.params(job) == {**wheel.params(plain), "slot_save_path": f"{where}/"}
    assert isinstance(server, Remembers)
    assert isinstance(wheel, Remembers)


def test_prompts_are_texts_or_files_each_once(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Be kind.\n")
    prompts = read(["Be brief.", f"@{file}", "Be brief."], tmp_path / "kept")
    assert prompts == SystemPrompts(("Be brief.", "Be kind.\n"), tmp_path / "kept")
    assert read([], tmp_path) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: " \n", "is empty"),
        (lambda path: f"@{path / 'none.txt'}", "none.txt"),
        (lambda path: f"@{path}", "can't be read"),
        (lambda path: f"@{path / 'latin'}", "UTF-8"),
    ],
)
def test_a_prompt_that_can_not_be_read_is_named(
    make: Callable[[Path], str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(ConfigError, match=words) as caught:
        read([make(tmp_path)], tmp_path)
    assert caught.value.hint
