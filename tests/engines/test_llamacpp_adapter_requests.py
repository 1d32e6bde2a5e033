"""How adapters reach both programs, and how each request says which of them answers it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gguf_lora import LORA, write, zeros
from pilotlight.core import ModelFiles, ModelRef, Operation
from pilotlight.engines.base import Adapter, EngineProcess, ModelJob, Seat
from pilotlight.engines.llamacpp.options import Adapter as AlwaysOn
from pilotlight.engines.llamacpp.options import Options
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import UnsupportedParameterError
from pilotlight.gateway.wire.fields import validate
from pilotlight.machine import Machine

WHEEL = WheelEngine(
    "1", Path("/site"), Machine("a processor", 2, 2**34, (), frozenset()), lambda: False
)


def served(*names: str) -> tuple[Adapter, ...]:
    return tuple(
        Adapter(name, ModelFiles(ModelRef("file", name), Path(f"/loras/{name}.gguf"), 1))
        for name in names
    )


def job(*names: str, always_on: tuple[float, ...] = ()) -> ModelJob:
    lora = tuple(AlwaysOn(path=Path("/on.gguf"), scale=scale) for scale in always_on)
    files = ModelFiles(ModelRef("file", "m"), Path("/m.gguf"), 1)
    return ModelJob("base", files, Options(lora=lora), served(*names))


def test_both_programs_load_them_after_those_that_are_always_on(
    machine: Machine, seat: Seat, files: ModelFiles, tmp_path: Path
) -> None:
    on = write(tmp_path / "on.gguf", LORA, {"x.lora_a": zeros(1), "x.lora_b": zeros(1)}).path
    engine = ServerEngine(Path(sys.executable), "1", machine, lambda: False)
    loaded = ModelJob("tiny", files, engine.options({"lora": str(on)}), served("pirate", "poet"))
    argv = engine.command(seat, loaded).argv
    assert argv[argv.index("--lora-scaled") + 1] == (
        f"{on}:1.0,/loras/pirate.gguf:0.0,/loras/poet.gguf:0.0"
    )
    assert "--lora" not in argv
    assert WHEEL.params(loaded)["lora_adapters"] == [
        {"path": str(on), "scale": 1.0},
        {"path": "/loras/pirate.gguf", "scale": 0.0},
        {"path": "/loras/poet.gguf", "scale": 0.0},
    ]


def test_adapters_change_nothing_else(machine: Machine, seat: Seat, files: ModelFiles) -> None:
    engine = ServerEngine(Path(sys.executable), "1", machine, lambda: False)
    plain = ModelJob("tiny", files, engine.options({}))
    loaded = replace(plain, adapters=served("pirate"))
    argv = list(engine.command(seat, loaded).argv)
    at = argv.index("--lora-scaled")
    assert argv[at + 1] == "/loras/pirate.gguf:0.0"
    del argv[at : at + 2]
    assert tuple(argv) == engine.command(seat, plain).argv
    params = WHEEL.params(loaded)
    assert params.pop("lora_adapters") == [{"path": "/loras/pirate.gguf", "scale": 0.0}]
    assert params == WHEEL.params(plain)
    assert engine.predict(files, loaded.options) == engine.predict(files, plain.options)


@pytest.mark.parametrize(
    ("always_on", "adapter", "chosen"),
    [
        ((), "pirate", [(0, 1.0)]),
        ((), "poet", [(1, 1.0)]),
        ((), None, [(0, 0.0)]),
        ((0.5, 2.0), "pirate", [(0, 0.5), (1, 2.0), (2, 1.0)]),
        ((0.5, 2.0), "poet", [(0, 0.5), (1, 2.0), (3, 1.0)]),
        ((0.5, 2.0), None, [(0, 0.5), (1, 2.0)]),
    ],
)
def test_every_request_lists_what_is_on(
    always_on: tuple[float, ...], adapter: str | None, chosen: list[tuple[int, float]]
) -> None:
    """Those of the options stay on, whatever is laid over them; one that isn't listed is off."""
    body = WHEEL.address(b'{"n":1}', job("pirate", "poet", always_on=always_on), adapter)
    listed = json.loads(body)["lora"]
    assert [(item["id"], item["scale"]) for item in listed] == chosen


@pytest.mark.parametrize(
    ("payload", "addressed"),
    [
        (b'{"a":1}', b'{"lora":[{"id":0,"scale":1.0}],"a":1}'),
        (b"{}", b'{"lora":[{"id":0,"scale":1.0}]}'),
        (b" \t\r\n{ \t\r\n} ", b' \t\r\n{"lora":[{"id":0,"scale":1.0}] \t\r\n} '),
        (b'\n{\n  "a": "}"\n}', b'\n{"lora":[{"id":0,"scale":1.0}],\n  "a": "}"\n}'),
        (b'{"{}":{}}', b'{"lora":[{"id":0,"scale":1.0}],"{}":{}}'),
    ],
)
def test_the_rest_of_the_body_is_the_clients_own_bytes(payload: bytes, addressed: bytes) -> None:
    assert WHEEL.address(payload, job("pirate"), "pirate") == addressed


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_SPACE = st.text(alphabet=" \t\r\n", max_size=3)
_KEYS = st.text().filter(lambda key: key != "lora")


@given(
    body=st.dictionaries(_KEYS, _JSON, max_size=4),
    before=_SPACE,
    after=_SPACE,
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    adapter=st.sampled_from([None, "pirate", "poet"]),
    always_on=st.lists(st.floats(-4, 4), max_size=2),
)
def test_any_object_keeps_its_fields_and_gains_one(
    body: dict[str, Any],
    before: str,
    after: str,
    indent: int | None,
    ascii_only: bool,
    adapter: str | None,
    always_on: list[float],
) -> None:
    text = before + json.dumps(body, indent=indent, ensure_ascii=ascii_only) + after
    payload = text.encode(errors="surrogatepass")
    loaded = job("pirate", "poet", always_on=tuple(always_on))
    addressed = json.loads(WHEEL.address(payload, loaded, adapter))
    scales = dict(enumerate(always_on))
    if adapter:
        scales[len(always_on) + ("pirate", "poet").index(adapter)] = 1.0
    choice = [{"id": number, "scale": scale} for number, scale in (scales or {0: 0.0}).items()]
    assert addressed == {**json.loads(payload), "lora": choice}


async def test_only_a_load_brings_adapters() -> None:
    loaded = job("pirate", "poet")
    process: EngineProcess = None  # type: ignore[assignment]
    for wanted in (loaded, job("poet"), job("poet", "pirate"), job()):
        assert await WHEEL.adapt(process, loaded, wanted) is loaded
    changed = replace(loaded.adapters[0], stamp="other bytes")
    for adapters in (served("pirate", "bard"), (changed,)):
        assert await WHEEL.adapt(process, loaded, replace(loaded, adapters=adapters)) is None


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (Operation.CHAT, {"messages": [{"role": "user", "content": "Hi"}]}),
        (Operation.COMPLETIONS, {"prompt": "Hi"}),
        (Operation.MESSAGES, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}),
    ],
)
def test_a_client_can_not_choose_by_number(
    operation: Operation, body: dict[str, Any], files: ModelFiles
) -> None:
    can = WHEEL.capabilities(files, Options())
    validate(operation, {"model": "m", **body}, can)
    with pytest.raises(UnsupportedParameterError, match="lora"):
        validate(operation, {"model": "m", **body, "lora": [{"id": 0, "scale": 1}]}, can)
