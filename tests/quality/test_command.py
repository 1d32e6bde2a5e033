"""`pilotlight eval` as its user runs it, against servers of a tiny model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.page.samples import sweep
from pilotlight.bench.files import read, write
from pilotlight.cli import cli

from .model import Tiny, up

TEXT = "\n".join(f"A page of text, number {number}, to be read by both." for number in range(60))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


async def called(subject: Tiny, reference: Tiny | None, *arguments: str) -> Result:
    async with up(subject) as target, up(reference or subject) as other:
        against = ["--reference", other.url] if reference else []
        words = ["eval", target.url, *against, "--positions", "40", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, cli, words, prog_name="pilotlight")


async def test_a_comparison_is_told(home: Path) -> None:
    found = await called(Tiny(noise=0.7), Tiny(), "--text", "text.txt")
    assert found.exit_code == 0, found.stderr
    assert "tiny against tiny (the reference)\n" in found.stdout
    for words in ("same next token", "KL divergence", "at least", "perplexity, ratio"):
        assert words in found.stdout
    assert "texts (one token at a time" in found.stderr


async def test_json_and_a_file_of_it(home: Path) -> None:
    found = await called(Tiny(), Tiny(), "--json", "--out", "quality.json")
    assert found.exit_code == 0, found.stderr
    tree = json.loads(found.stdout)
    assert tree == json.loads((home / "quality.json").read_text())
    assert tree["format"] == "pilotlight-quality-1"
    assert tree["token_agreement"]["value"] == 1


async def test_a_report_takes_it_up(home: Path) -> None:
    write(replace(sweep(), quality=None), home / "bench.json")
    found = await called(Tiny(noise=1), Tiny(), "--report", "bench.json")
    assert found.exit_code == 0, found.stderr
    [kept] = read(home / "bench.json")
    assert kept.quality is not None
    assert kept.quality.subject == "tiny"
    assert replace(kept, quality=None) == replace(sweep(), quality=None)


async def test_alone_there_is_a_perplexity(home: Path) -> None:
    found = await called(Tiny(), None)
    assert found.exit_code == 0, found.stderr
    assert "tiny against itself alone" in found.stdout
    assert "perplexity" in found.stdout
    assert "same next token" not in found.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--no-text",), "--no-text takes a --task"),
        (("--no-text", "--text", "text.txt"), "exclude each other"),
        (("--text", "none.txt"), "can't read 'none.txt'"),
        (("--report", "text.txt"), "is not JSON"),
        (("--task", "text.txt"), "text.txt:1"),
        (("--reference", "none.gguf"), "no file at 'none.gguf'"),
        (("--reference-model", "m"), "means nothing without --reference"),
        (("--reference-option", "parallel=1"), "--reference-option means nothing"),
        (("--out", "nowhere/quality.json"), "there is no directory 'nowhere'"),
    ],
)
async def test_wrong_calls_end_before_anything_is_asked(
    home: Path, arguments: tuple[str, ...], words: str
) -> None:
    model = Tiny()
    found = await called(model, None, *arguments)
    assert found.exit_code == 2
    assert words in found.stderr
    assert not model.asked


async def test_a_target_that_is_not_there_is_said_before_its_reference_is_asked(
    home: Path,
) -> None:
    model = Tiny()
    async with up(model) as other:
        words = ["eval", "none.gguf", "--reference", other.url]
        found = await asyncio.to_thread(CliRunner().invoke, cli, words, prog_name="pilotlight")
    assert found.exit_code == 2
    assert "no file at 'none.gguf'" in found.stderr
    assert not model.asked
