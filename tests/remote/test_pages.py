"""docs/engines/{openai,ollama,presets}.md: their files load, and no option is left out."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pilotlight import config
from pilotlight.engines.ollama.options import Options as OllamaOptions
from pilotlight.engines.openai.options import Options as OpenAIOptions
from pilotlight.engines.presets import PRESETS
from pilotlight.engines.presets.options import Options as PresetOptions
from pilotlight.engines.presets.options import options_of
from pilotlight.gateway.assembly import build
from pilotlight.testing import FakeFleet, FakeStore

from .house import MACHINE

PAGES = Path(__file__).parents[2] / "docs" / "engines"


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


BLOCKS = [
    (name, block)
    for name in ("openai", "ollama", "presets")
    for block in re.findall(r"```yaml\n(.*?)```", page(name), re.DOTALL)
]


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_its_examples_are_served(name: str, text: str, tmp_path: Path) -> None:
    if "pypi:" in text:
        pytest.importorskip("xllamacpp")
    file = tmp_path / "pilotlight.yaml"
    file.write_text(f"data_dir: {tmp_path}\n{text}")
    settings = config.load(file, environ={})
    house = build(settings, MACHINE, FakeFleet(), store=FakeStore())
    assert set(house.catalogue) == set(settings.models)


def named(text: str) -> set[str]:
    """What the first cells of its tables have in code type."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


@pytest.mark.parametrize(
    ("name", "options"), [("openai", OpenAIOptions), ("ollama", OllamaOptions)]
)
def test_it_names_every_option(name: str, options: type) -> None:
    assert named(page(name)) == {item.name for item in fields(options)}


def test_the_presets_page_names_every_server_and_option() -> None:
    text = page("presets")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for preset in PRESETS.values():
        [row] = [row for row in rows if row.startswith(f"| `{preset.name}` | {preset.title} ")]
        assert f"| `{preset.ready}` |" in row
        assert all(f"`{counter}`" in row for counter in preset.counters)
        assert str(preset.usual_port or "") in row
        told = set(re.findall(r"`([a-z_]+)`", "".join(row for row in rows if "|" in row)))
        assert options_of(preset) <= told
    assert {item.name for item in fields(PresetOptions)} <= set(re.findall(r"`([a-z_]+)`", text))
