"""Users' files over the package's, and what a wrong one is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pilotlight.catalog import Catalog, files_of, load
from pilotlight.errors import ConfigError

from .conftest import Write

CARD = """\
gpus:
  my-card:
    title: A card of mine
    vendor: nvidia
    generation: ada
    memory_mib: 8192
    bandwidth_gb_s: 224
    fp16_tflops: 20
    tdp_w: 100
    pcie_gb_s: 16
    source: the box
    as_of: 2026-11-20
"""


def test_a_file_adds_a_row(write: Write, shipped: Catalog) -> None:
    gpus = load([write(CARD)]).gpus
    assert len(gpus) == len(shipped.gpus) + 1
    assert gpus["my-card"].memory_bytes == 8 * 2**30
    assert gpus["my-card"].as_of == date(2026, 11, 20)
    assert gpus["my-card"].fp8_tflops is None


def test_a_row_of_a_known_name_keeps_what_it_does_not_give(write: Write, shipped: Catalog) -> None:
    text = "gpus: {l4: {tdp_w: 60, source: power cap of our racks, as_of: 2026-11-19}}"
    before, after = shipped.gpus["l4"], load([write(text)]).gpus["l4"]
    assert (after.tdp_w, after.source, after.as_of) == (
        60, "power cap of our racks", date(2026, 11, 19)
    )  # fmt: skip
    assert after.bandwidth_gb_s == before.bandwidth_gb_s
    assert after.memory_mib == before.memory_mib


def test_part_of_a_nested_field_can_be_overridden(write: Write, shipped: Catalog) -> None:
    text = """\
models:
  mixtral-8x7b:
    architecture: {context: 16384, experts: {used: 3}}
    source: our own finetune
    as_of: 2026-11-19
"""
    before = shipped.models["mixtral-8x7b"].architecture
    after = load([write(text)]).models["mixtral-8x7b"].architecture
    assert (after.context, after.hidden) == (16384, before.hidden)
    assert after.experts
    assert before.experts
    assert (after.experts.used, after.experts.width) == (3, before.experts.width)


def test_a_field_can_be_made_unknown_again(write: Write) -> None:
    text = "gpus: {l4: {fp8_tflops: null, source: broken driver, as_of: 2026-11-19}}"
    assert load([write(text)]).gpus["l4"].fp8_tflops is None


def test_the_last_file_wins(tmp_path: Path) -> None:
    for number in (1, 2):
        text = f"gpus: {{l4: {{tdp_w: {number}, source: s, as_of: 2026-11-19}}}}"
        (tmp_path / f"{number}.yaml").write_text(text)
    assert load([tmp_path / "1.yaml", tmp_path / "2.yaml"]).gpus["l4"].tdp_w == 2


def test_files_of_this_machine_come_before_those_named(tmp_path: Path) -> None:
    here = tmp_path / "catalog"
    here.mkdir()
    for name in ("b.yaml", "a.yaml", "notes.txt"):
        (here / name).write_text("")
    named = Path("named.yaml")
    assert files_of(tmp_path, [named]) == (here / "a.yaml", here / "b.yaml", named)


def test_an_empty_file_changes_nothing(write: Write, shipped: Catalog) -> None:
    assert load([write("# nothing yet\n")]).gpus == shipped.gpus


BAD = {
    "negative": ("tdp_w: 100", "tdp_w: -3", 9, "gpus.my-card.tdp_w is '-3', expected more than 0"),
    "no number": ("tdp_w: 100", "tdp_w: hot", 9, "gpus.my-card.tdp_w is 'hot', expected a number"),
    "not finite": ("224", ".nan", 7, "bandwidth_gb_s is '.nan', expected a number"),
    "not whole": ("8192", "8192.5", 6, "memory_mib is '8192.5', expected a whole number"),
    "choice": ("vendor: nvidia", "vendor: matrox", 4, "is 'matrox', expected one of nvidia, amd"),
    "empty": ("title: A card of mine", "title:", 3, "gpus.my-card.title is empty, expected a text"),
    "bool": ("pcie_gb_s: 16", "bf16: 1", 10, "bf16 is '1', expected true or false"),
    "date": ("2026-11-20", "last week", 12, "as_of is 'last week', expected a date"),
    "list": ("title: A card of mine", "aliases: mine", 3, "aliases is 'mine', expected a list"),
    "unknown": ("tdp_w", "tdp_watts", 9, "gpus.my-card.tdp_watts is no field here"),
    "own name": ("title: A card", "name: A card", 3, "gpus.my-card.name is no field here"),
    "twice": ("vendor: nvidia", "title: Again", 4, "gpus.my-card.title is there twice"),
    "missing": ("    tdp_w: 100\n", "", 2, "gpus.my-card.tdp_w is missing"),
    "no source": ("    source: the box\n", "", 2, "gpus.my-card.source is missing"),
    "kind": ("gpus:", "gpu:", 1, "gpu is no kind of row"),
    "no row": ("  my-card:", "  my-card: fast\n  other:", 2, "gpus.my-card is 'fast', expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_told_by_file_line_field_and_value(case: str, write: Write) -> None:
    old, new, line, message = BAD[case]
    assert old in CARD
    path = write(CARD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load([path])
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert message in caught.value.message


def test_hints_name_the_next_step(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load([write(CARD.replace("tdp_w", "tdp_wt"))])
    assert caught.value.hint == "did you mean 'tdp_w'?"
    with pytest.raises(ConfigError) as caught:
        load([write(CARD.replace("    source: the box\n", ""))])
    assert caught.value.hint == "every row says where its figures are from, and of which day"


def test_a_wrong_value_deep_inside_has_its_whole_path(write: Write) -> None:
    text = """\
models:
  mixtral-8x7b:
    architecture:
      experts: {count: 0}
    source: s
    as_of: 2026-11-19
"""
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load([path])
    where = f"{path}:4: models.mixtral-8x7b.architecture.experts.count"
    assert caught.value.message == f"{where} is '0', expected at least 1"


def test_what_contradicts_the_row_below_points_at_the_row(write: Write) -> None:
    path = write(
        "models: {mixtral-8x7b: {architecture: {layers: 0}, source: s, as_of: 2026-11-19}}"
    )
    with pytest.raises(ConfigError, match=r"mine.yaml:1: .*architecture.layers is '0', expected"):
        load([path])
    path = write(
        "models: {llama-3.1-8b: {architecture: {heads: 30}, source: s, as_of: 2026-11-19}}"
    )
    with pytest.raises(ConfigError, match=r"kv_heads isn't a divisor of 30, the heads"):
        load([path])


def test_a_rule_of_billing_is_told_apart_by_its_kind(write: Write) -> None:
    path = write("platforms: {cloud-run: {billing: {kind: barter}, source: s, as_of: 2026-11-19}}")
    with pytest.raises(ConfigError, match=r"billing\.kind is 'barter', expected one of "):
        load([path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpus: [1, 2", r"mine\.yaml:2: not valid YAML"),
        ("- gpus", "the file is a list, expected kinds such as gpus"),
        ("gpus: fast", "gpus is 'fast', expected rows by name"),
        ("gpus: {[1]: {}}", "gpus is a list, expected a text as the key"),
        ("gpus: {l4: {tdp_w: 1, source: s, as_of: 2026-11-19}, l4: {}}", "l4 is there twice"),
    ],
)
def test_a_file_that_is_no_catalog(text: str, message: str, write: Write) -> None:
    with pytest.raises(ConfigError, match=message):
        load([write(text)])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"can't read 'gone\.yaml': No such file") as caught:
        load([Path("gone.yaml")])
    assert caught.value.hint


def test_two_rows_cannot_answer_to_one_name(write: Write) -> None:
    with pytest.raises(ConfigError, match="the GPU 'my-card' answers to 'h200', as 'h200' does"):
        load([write(CARD.replace("    title", "    aliases: [h200]\n    title"))])
