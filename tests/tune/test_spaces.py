"""What is varied of each engine: all of it must be options that the engine takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pilotlight.engines.llamacpp.options import complete as llamacpp
from pilotlight.engines.transformers.options import complete as transformers
from pilotlight.engines.vllm.options import complete as vllm
from pilotlight.machine import Gpu, Machine
from pilotlight.tune.setting import Setting
from pilotlight.tune.space import Axis, Space
from pilotlight.tune.spaces.registry import TUNABLE, draw
from pilotlight.tune.spaces.terrain import Terrain, doublings, thread_counts

SMALL = Machine("cpu", 2, 8 << 30, (), frozenset())
GPU = Machine("cpu", 16, 64 << 30, (Gpu(0, "L4", 24 << 30),), frozenset())
COMPLETE: Mapping[str, Any] = {
    "llamacpp": llamacpp,
    "transformers": transformers,
    "vllm": lambda given, machine: vllm(given, machine, bool(machine.gpus)),
}


def drawn(engine: str, machine: Machine = SMALL, **more: Any) -> Space:
    default = Setting(ref="m", engine=engine, options=more.pop("options", {}))
    return draw([default], Terrain(machine=machine, users=more.pop("users", 16)), **more)


def axis(space: Space, name: str) -> Axis:
    return next(each for each in space.axes_of(space.default) if each.name == name)


@pytest.mark.parametrize("engine", TUNABLE)
@pytest.mark.parametrize("machine", [SMALL, GPU], ids=["cpu", "gpu"])
def test_every_value_of_every_axis_is_an_option_the_engine_takes(
    engine: str, machine: Machine
) -> None:
    space = drawn(engine, machine)
    assert len(space.axes_of(space.default)) >= 4
    for each in space.axes_of(space.default):
        for value in each.values:
            moved = each.moved(space.default, value)
            COMPLETE[engine](moved.options, machine)
            assert each.read(moved) == value, (each.name, value)
    for start in space.starts:
        COMPLETE[engine](start.options, machine)


@pytest.mark.parametrize("engine", TUNABLE)
@pytest.mark.parametrize("machine", [SMALL, GPU], ids=["cpu", "gpu"])
def test_the_default_lies_on_every_axis(engine: str, machine: Machine) -> None:
    space = drawn(engine, machine)
    for each in space.axes_of(space.default):
        value = each.read(space.default)
        assert value in each.values, (each.name, value)
        if each.ordered:
            assert list(each.values) == sorted(set(each.values))


def test_values_are_what_the_engine_would_take_by_itself() -> None:
    own = llamacpp({}, SMALL)
    space = drawn("llamacpp")
    assert axis(space, "parallel").read(space.default) == own.parallel
    assert axis(space, "threads").read(space.default) == own.threads == 2
    assert axis(space, "batch_size").read(space.default) == own.batch_size


def test_what_is_given_is_where_the_search_begins() -> None:
    space = drawn("llamacpp", options={"parallel": 6, "context": 2048})
    slots = axis(space, "parallel")
    assert slots.read(space.default) == 6
    assert 6 in slots.values
    wider = slots.moved(space.default, 12)
    assert wider.options == {"parallel": 12, "context": 2048}
    assert slots.moved(wider, 6).key == space.default.key


def test_one_setting_has_one_name() -> None:
    """The engine's own choice isn't written, so that it isn't tried twice."""
    space = drawn("llamacpp", users=4)
    slots = axis(space, "parallel")
    assert slots.moved(slots.moved(space.default, 8), 4).key == space.default.key
    keys = [start.key for start in (space.default, *space.starts)]
    assert len(set(keys)) == len(keys)
    assert not [start for start in space.starts if start.options == {"parallel": 4}]


def test_fixed_options_are_left_alone_under_any_name() -> None:
    space = drawn("llamacpp", fixed=["threads", "ubatch_size"], without=["kv_unified"])
    names = {each.name for each in space.axes_of(space.default)}
    assert not names & {"threads", "ubatch_size", "kv_unified"}
    assert "threads_batch" in names
    space = drawn("vllm", options={"parallel": 8}, fixed=["parallel"])
    assert "max_num_seqs" not in {each.name for each in space.axes_of(space.default)}
    assert not [start for start in space.starts if "max_num_seqs" in start.options]
    space = drawn("llamacpp", options={"parallel": 4}, fixed=["parallel"])
    assert all(start.options["parallel"] == 4 for start in space.starts)


def test_what_changes_answers_can_be_left_out_and_is_told() -> None:
    space = drawn("llamacpp")
    cache = axis(space, "kv_type")
    quantized = cache.moved(space.default, "q8_0")
    assert quantized.options["flash_attention"] == "on", "llama.cpp has it only with that"
    assert list(space.other_answers(quantized)) == ["kv_type"]
    assert list(space.other_answers(space.default)) == []
    kept = drawn("llamacpp", same_answers=True)
    assert "kv_type" not in {each.name for each in kept.axes_of(kept.default)}


def test_a_named_value_takes_back_what_another_set() -> None:
    space = drawn("llamacpp")
    guesses = axis(space, "speculative")
    guessing = guesses.moved(space.default, "ngram-mod")
    assert guessing.options == {"speculative": "ngram-mod"}
    assert guesses.moved(guessing, "none").key == space.default.key


def test_batches_hold_their_micro_batch() -> None:
    space = drawn("llamacpp", options={"batch_size": 512})
    micro, batch = axis(space, "ubatch_size"), axis(space, "batch_size")
    large = micro.moved(space.default, 2048)
    assert (large.options["ubatch_size"], large.options["batch_size"]) == (2048, 2048)
    small = batch.moved(large, 128)
    assert (small.options["ubatch_size"], small.options["batch_size"]) == (128, 128)
    assert axis(drawn("llamacpp"), "ubatch_size").moved(Setting(ref="m"), 128).options == {
        "ubatch_size": 128
    }, "the batch stays as it is"


def test_everybody_has_a_slot_in_one_of_the_starts() -> None:
    assert any(start.options["parallel"] == 24 for start in drawn("llamacpp", users=24).starts)
    assert drawn("vllm", users=24).starts[0].options == {"max_num_seqs": 24}
    assert drawn("vllm", users=None).starts == ()


def test_an_engine_without_axes_is_tried_as_it_is() -> None:
    settings = [Setting(ref="m"), Setting(ref="m", engine="ollama")]
    space = draw(settings, Terrain(machine=SMALL))
    assert settings[1] in space.starts
    assert space.axes_of(settings[1]) == ()


def test_numbers_to_try() -> None:
    assert doublings(32, 256) == (32, 64, 128, 256)
    assert thread_counts(1) == (1,)
    assert thread_counts(2) == (1, 2)
    assert thread_counts(16) == (1, 8, 12, 16)
