"""`pilotlight catalog` from the outside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Protocol

import pytest
import yaml
from click.testing import CliRunner, Result

from home import home as home
from pilotlight.catalog import Catalog, load
from pilotlight.cli import cli


class Call(Protocol):
    def __call__(self, *args: str) -> Result: ...


@pytest.fixture
def call(home: Path) -> Call:
    """A command line without this user's settings or files."""

    def run(*args: str) -> Result:
        return CliRunner().invoke(cli, ("catalog", *args), prog_name="pilotlight")

    return run


def test_the_kinds(call: Call, shipped: Catalog) -> None:
    result = call("list")
    assert result.exit_code == 0, result.output
    assert re.search(rf"^gpus +{len(shipped.gpus)} +2020-01-01 +2026-09-11$", result.output, re.M)
    kinds = json.loads(call("list", "--json").output)["kinds"]
    assert {entry["kind"] for entry in kinds} == set(shipped.tables)


@pytest.mark.parametrize("kind", load().tables)
def test_every_kind_lists_its_rows(kind: str, call: Call, shipped: Catalog) -> None:
    result = call("list", kind)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 1 + len(shipped.tables[kind])
    entries = json.loads(call("list", kind, "--json").output)[kind]
    assert [entry["name"] for entry in entries] == list(shipped.tables[kind])
    assert all(entry["source"] and entry["as_of"] for entry in entries)


def test_rows_by_a_text_in_their_name(call: Call) -> None:
    entries = json.loads(call("list", "models", "OLMoE", "--json").output)["models"]
    assert [entry["name"] for entry in entries] == ["olmoe-1b-7b"]


def test_a_row_with_its_source_and_what_follows(call: Call) -> None:
    output = call("show", "mixtral-8x7b").output
    assert output.startswith("models/mixtral-8x7b\n")
    for line in (
        r"architecture\.experts\.count +8",
        r"summed_parameters +46,702,792,704",
        r"grade +large",
        r"source +config\.json of mistralai/Mixtral-8x7B-Instruct-v0\.1",
        r"as_of +2023-12-11",
    ):
        assert re.search(rf"^  {line}", output, re.M), line


def test_a_name_of_one_kind(call: Call) -> None:
    (entry,) = json.loads(call("show", "gpus/h100", "--json").output)
    assert (entry["kind"], entry["name"], entry["memory_bytes"]) == (
        "gpus", "h100-sxm", 81559 * 2**20
    )  # fmt: skip


def test_a_name_that_is_not_there(call: Call) -> None:
    result = call("show", "mixtrall-8x7b")
    assert result.exit_code == 2
    assert "error: no row 'mixtrall-8x7b' in the catalog" in result.output
    assert "models/mixtral-8x7b" in result.output
    result = call("show", "gpus/h1000")
    assert "error: unknown GPU 'h1000'" in result.output
    assert call("list", "cars").exit_code == 2


def test_a_file_of_the_users_is_laid_over(call: Call, tmp_path: Path) -> None:
    own = tmp_path / "data" / "pilotlight" / "catalog"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("gpus: {l4: {tdp_w: 60, source: rack, as_of: 2026-11-19}}")
    assert json.loads(call("show", "gpus/l4", "--json").output)[0]["tdp_w"] == 60
    named = tmp_path / "named.yaml"
    named.write_text("gpus: {l4: {tdp_w: 50, source: rack, as_of: 2026-11-19}}")
    shown = call("show", "gpus/l4", "--json", "--catalog", str(named))
    assert json.loads(shown.output)[0]["tdp_w"] == 50


def test_check_counts_ages_to_the_day_given(call: Call, shipped: Catalog) -> None:
    fresh = call("check", "--on", "2026-11-20")
    assert fresh.exit_code == 0
    assert "warning: apis" not in fresh.output
    later = call("check", "--on", "2027-06-01")
    assert later.exit_code == 0
    assert "warning: apis.openai/gpt-4o is of 2026-11-09, 204 days old" in later.output
    assert call("check", "--on", "2027-06-01", "--strict").exit_code == 1
    stale = json.loads(call("check", "--on", "2027-06-01", "--json").output)["stale"]
    assert {row["name"] for row in stale} >= set(shipped.apis)


def test_check_finds_what_is_wrong_in_a_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("apis: {openai/gpt-4o: {model: gpt-9, source: s, as_of: 2026-11-19}}")
    result = call("check", str(path))
    assert result.exit_code == 1
    assert "error: apis.openai/gpt-4o: model is 'gpt-9', not in models" in result.output
    path.write_text(
        "apis:\n  openai/gpt-4o:\n    input_usd_per_mtok: -1\n    source: s\n"
        "    as_of: 2026-11-19\n"
    )
    result = call("check", str(path))
    assert result.exit_code == 2
    where = "mine.yaml:3: apis.openai/gpt-4o.input_usd_per_mtok"
    assert f"{where} is '-1', expected at least 0" in result.output


def test_prices_are_a_catalog_file(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    result = call("prices", "groq", "--on", "2026-11-20")
    assert result.exit_code == 0, result.output
    assert all(row["provider"] == "groq" for row in yaml.safe_load(result.output)["apis"].values())
    path = tmp_path / "prices.yaml"
    path.write_text(result.output)
    assert call("check", str(path), "--on", "2026-11-20").exit_code == 0
    assert "groq" in call("prices", "--providers").output.splitlines()
    assert call("prices", "acme").exit_code == 2


def test_the_document_shows_rows_that_are_taken(tmp_path: Path, shipped: Catalog) -> None:
    text = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    path = tmp_path / "mine.yaml"
    path.write_text(block)
    loaded = load([path])
    assert loaded.gpus["my-card"].memory_mib == 8188
    assert loaded.models["acme-7b"].parameters == 6738415616
    table = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert table == list(shipped.tables)
