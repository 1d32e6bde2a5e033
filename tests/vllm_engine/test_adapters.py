"""The talk with vLLM about its adapters, and how a request says which it means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import Adapter, ModelJob, Seat
from pilotlight.engines.vllm import VllmEngine, host
from pilotlight.errors import AdapterError, EngineError, EngineOptionError, EngineStartError

from .checkpoints import write_model

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class Vllm:
    """A process and its client: a vLLM as far as its adapters and its sleep go."""

    alive = True

    def __init__(self, *, refuses: str = "", silent: str = "", odd: str = "") -> None:
        self.client = self
        self.adapters: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.asleep = False
        self._refuses, self._silent, self._odd = refuses, silent, odd

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        asked = json.loads(body) if body else {}
        if path == self._odd:
            return 500, b"nothing I know"
        if path in (LOAD, UNLOAD):
            return self._change(path, asked)
        if body is not None:
            self.asleep = path.startswith("/sleep")
            self.asked.append((path, ""))
        return 200, json.dumps({"is_sleeping": self.asleep, "data": self._cards()}).encode()

    def _change(self, path: str, asked: dict[str, str]) -> tuple[int, bytes]:
        name = asked["lora_name"]
        self.asked.append((path, name))
        if (path == LOAD) == (name in self.adapters):
            return (400 if path == LOAD else 404), self._words(f"{name} is (not) there")
        if path == UNLOAD:
            del self.adapters[name]
        elif self._silent and self._silent in asked["lora_path"]:
            raise TimeoutError
        elif self._refuses and self._refuses in asked["lora_path"]:
            return 500, self._words("the adapter has no legs")
        else:
            self.adapters[name] = asked["lora_path"]
        return 200, b"Success"

    def _cards(self) -> list[dict[str, Any]]:
        loras = [{"id": name, "parent": "m"} for name in self.adapters]
        return [{"id": "m", "parent": None}, *loras]

    @staticmethod
    def _words(message: str) -> bytes:
        return json.dumps({"error": {"message": message, "code": 500}}).encode()

    async def send(self, message: Any) -> None:
        assert set(message) == {"argv", "env", "grows"}

    def last_words(self, lines: int = 5) -> str:
        return ""

    def changes(self) -> list[str]:
        """What was loaded (+) and unloaded (-) since the last look, by the clients' names."""
        done = [
            ("+" if path == LOAD else "-") + name.partition(host.TAG)[0]
            for path, name in self.asked
            if path in (LOAD, UNLOAD)
        ]
        self.asked.clear()
        return done

    def held(self) -> list[str]:
        return sorted(self.adapters.values())


def adapter(name: str, stamp: str = "1") -> Adapter:
    path = Path("/adapters") / name
    return Adapter(name, ModelFiles(ModelRef("file", str(path)), path, 1), stamp)


def job(engine: VllmEngine, files: ModelFiles, *adapters: Adapter, **given: Any) -> ModelJob:
    return ModelJob("m", files, engine.options({"enable_lora": True, **given}), adapters)


async def serving(engine: VllmEngine, vllm: Vllm, job: ModelJob) -> Any:
    process: Any = vllm
    await engine.load(process, job)
    return process


async def test_a_load_brings_them(engine: VllmEngine, files: ModelFiles) -> None:
    vllm = Vllm()
    two = job(engine, files, adapter("a"), adapter("b"))
    process = await serving(engine, vllm, two)
    assert vllm.held() == ["/adapters/a", "/adapters/b"]
    assert vllm.changes() == ["+m:a", "+m:b"]
    await engine.load(process, two)
    assert vllm.changes() == [], "what is there stays"


async def test_a_model_without_any_is_not_asked(engine: VllmEngine, files: ModelFiles) -> None:
    vllm = Vllm(odd="/v1/models")
    await serving(engine, vllm, ModelJob("m", files, engine.options({})))
    assert vllm.asked == []


async def test_a_change_is_the_difference(engine: VllmEngine, files: ModelFiles) -> None:
    vllm = Vllm()
    loaded = job(engine, files, adapter("a"), adapter("b"))
    process = await serving(engine, vllm, loaded)
    vllm.changes()
    wanted = replace(loaded, adapters=(adapter("b"), adapter("c")))
    assert await engine.adapt(process, loaded, wanted) == wanted
    assert vllm.changes() == ["+m:c", "-m:a"]
    assert vllm.held() == ["/adapters/b", "/adapters/c"]


async def test_other_bytes_are_another_adapter(engine: VllmEngine, files: ModelFiles) -> None:
    """vLLM would go on from the old one's cache (_gen_lora_extra_hash_keys: name and path)."""
    vllm = Vllm()
    loaded = job(engine, files, adapter("a", "old"))
    process = await serving(engine, vllm, loaded)
    (old,) = vllm.adapters
    wanted = replace(loaded, adapters=(adapter("a", "new"),))
    assert await engine.adapt(process, loaded, wanted) == wanted
    (new,) = vllm.adapters
    assert old != new
    assert vllm.changes() == ["+m:a", "+m:a", "-m:a"], "there is one at every moment"


async def test_only_adapters_change_while_it_serves(engine: VllmEngine, files: ModelFiles) -> None:
    vllm = Vllm()
    loaded = job(engine, files)
    process = await serving(engine, vllm, loaded)
    wanted = job(engine, files, adapter("a"), max_lora_rank=64)
    assert await engine.adapt(process, loaded, wanted) is None
    assert vllm.held() == []


@pytest.mark.parametrize(
    ("vllm", "words"),
    [
        (Vllm(refuses="bad"), "vLLM refused adapter 'bad' of 'm': the adapter has no legs"),
        (Vllm(silent="bad"), "vLLM refused adapter 'bad' of 'm': no answer in 60 s"),
    ],
    ids=["refused", "silent"],
)
async def test_after_a_refusal_all_is_as_before(
    vllm: Vllm, words: str, engine: VllmEngine, files: ModelFiles
) -> None:
    loaded = job(engine, files, adapter("a"), adapter("b"))
    process = await serving(engine, vllm, loaded)
    before = dict(vllm.adapters)
    wanted = replace(loaded, adapters=(adapter("a", "2"), adapter("bad"), adapter("c")))
    with pytest.raises(AdapterError) as caught:
        await engine.adapt(process, loaded, wanted)
    assert caught.value.message == words
    assert vllm.adapters == before


async def test_a_refusal_at_the_start_fails_it(engine: VllmEngine, files: ModelFiles) -> None:
    with pytest.raises(EngineStartError, match="adapter 'bad' of 'm': the adapter has no legs"):
        await serving(engine, Vllm(refuses="bad"), job(engine, files, adapter("bad")))
    with pytest.raises(EngineStartError, match="500 to /v1/models: nothing I know"):
        await serving(engine, Vllm(odd="/v1/models"), job(engine, files, adapter("a")))


async def test_an_odd_answer_is_an_error(engine: VllmEngine, files: ModelFiles) -> None:
    vllm = Vllm(odd=UNLOAD)
    loaded = job(engine, files, adapter("a"))
    process = await serving(engine, vllm, loaded)
    with pytest.raises(EngineError, match=f"500 to {UNLOAD}"):
        await engine.adapt(process, loaded, job(engine, files))


@pytest.mark.parametrize(("level", "changes"), [(1, []), (2, ["-m:a", "-m:b", "+m:a", "+m:b"])])
async def test_a_wake_brings_back_what_the_sleep_took(
    level: int, changes: list[str], gpu_engine: VllmEngine, files: ModelFiles
) -> None:
    vllm = Vllm()
    two = job(gpu_engine, files, adapter("a"), adapter("b"), sleep_level=level)
    process = await serving(gpu_engine, vllm, two)
    await gpu_engine.unload(process)
    vllm.changes()
    await gpu_engine.load(process, two)
    assert vllm.changes() == changes
    assert vllm.held() == ["/adapters/a", "/adapters/b"]


async def test_a_wake_brings_what_changed_meanwhile(
    gpu_engine: VllmEngine, files: ModelFiles
) -> None:
    vllm = Vllm()
    process = await serving(gpu_engine, vllm, job(gpu_engine, files, adapter("a")))
    await gpu_engine.unload(process)
    vllm.changes()
    await gpu_engine.load(process, job(gpu_engine, files, adapter("b")))
    assert vllm.changes() == ["+m:b", "-m:a"]


async def test_a_request_is_addressed_by_what_was_loaded(
    engine: VllmEngine, files: ModelFiles
) -> None:
    vllm = Vllm()
    two = job(engine, files, adapter("a"), adapter("b"))
    await serving(engine, vllm, two)
    payload = b'{"model": "alias:a", "messages": [{"role": "user", "content": "\\u00e9 \xc3\xa9"}]}'
    for name in ("a", "b"):
        sent = json.loads(engine.address(payload, two, name))
        assert vllm.adapters[sent.pop("model")] == f"/adapters/{name}"
        assert sent == {"messages": [{"role": "user", "content": "é é"}]}
    assert json.loads(engine.address(b"{}", two, "a"))["model"] in vllm.adapters
    assert engine.address(payload, two, None) is payload


class Models:
    """vLLM's OpenAIServingModels and its requests for adapters, as far as names go."""

    lora_name = "m:a #012345678901"

    def model_name(self, lora_request: Any = None) -> str:
        return "m" if lora_request is None else str(lora_request.lora_name)


class Serving:
    """vLLM's BaseServing with VLLM_SKIP_MODEL_NAME_VALIDATION."""

    def _is_model_supported(self, model_name: str | None) -> bool:
        return True


def test_clients_read_the_names_they_know() -> None:
    host.tell_adapters_apart(Models, Serving)
    models, serving = Models(), Serving()
    assert models.model_name() == "m"
    assert models.model_name(Models()) == "m:a"
    assert serving._is_model_supported(None)
    assert serving._is_model_supported("any-alias:latest")
    assert not serving._is_model_supported("m:a #012345678901"), "no bare model in its place"


class Manager:
    """vLLM's lora.model_manager, as far as its layers' slots go."""

    @staticmethod
    def from_layer(layer: str, max_loras: int, config: str) -> list[str]:
        return [f"{layer} {config}"] * max_loras

    @staticmethod
    def from_layer_logits_processor(
        layer: str, lm_head: str, max_loras: int, config: str
    ) -> list[str]:
        return [f"{layer} {lm_head} {config}"] * max_loras


def test_a_slot_more_than_adapters() -> None:
    manager: Any = Manager()
    host.keep_the_last_slot_empty(manager)
    assert manager.from_layer("q", 2, "c") == ["q c"] * 3
    assert manager.from_layer_logits_processor("l", "head", 2, "c") == ["l head c"] * 3


@pytest.mark.parametrize(
    ("given", "at_once", "kept"),
    [
        ({}, 4, 16),
        ({"max_loras": 2}, 2, 16),
        ({"max_loras": 32}, 32, 32),
        ({"max_cpu_loras": 2}, 2, 2),
        ({"max_loras": 3, "max_cpu_loras": 64}, 3, 64),
    ],
)
def test_room_for_several_at_once(
    given: dict[str, int],
    at_once: int,
    kept: int,
    engine: VllmEngine,
    files: ModelFiles,
) -> None:
    order = engine.order(job(engine, files, adapter("a"), **given))
    assert order["argv"][-5:] == [
        "--enable-lora", "--max-loras", str(at_once), "--max-cpu-loras", str(kept),
    ]  # fmt: skip
    assert order["env"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert "/adapters/a" not in order["argv"], "they come by one way, at the start too"


def test_without_adapters_nothing_is_opened(
    engine: VllmEngine, files: ModelFiles, seat: Seat
) -> None:
    bare = ModelJob("m", files, engine.options({}))
    order = engine.order(bare)
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in order["env"]
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in engine.command(seat, bare).env
    assert not any("lora" in word for word in order["argv"])


def test_adapters_on_a_cpu_are_not_for_ray(engine: VllmEngine) -> None:
    """Its workers don't run host.py, which keeps adapters and the bare model apart."""
    with pytest.raises(EngineOptionError, match="answers of the bare model"):
        engine.options({"enable_lora": True, "distributed_executor_backend": "ray"})
    assert engine.options({"enable_lora": True, "tensor_parallel_size": 2}).enable_lora


def test_fewer_kept_than_at_once_are_refused(engine: VllmEngine) -> None:
    with pytest.raises(EngineOptionError, match="'max_cpu_loras' is 1, less than 'max_loras', 2"):
        engine.options({"enable_lora": True, "max_loras": 2, "max_cpu_loras": 1})


def test_the_room_is_predicted(engine: VllmEngine, tmp_path: Path) -> None:
    """Each of 4 and a spare at rank 16 has numbers for 16 inputs and 4 outputs, of 2 bytes."""
    files = write_model(tmp_path / "small")
    plain = engine.predict(files, engine.options({}))
    roomy = engine.predict(files, engine.options({"enable_lora": True}))
    assert roomy.parts["adapter_slots"] == 5 * 16 * 20 * 2
    assert roomy.ram_bytes - plain.ram_bytes == roomy.parts["adapter_slots"]


def test_the_room_on_a_gpu(gpu_engine: VllmEngine, tmp_path: Path) -> None:
    files = write_model(tmp_path / "small")
    sized = {"kv_cache_memory_bytes": "1GiB"}
    bare = gpu_engine.predict(files, gpu_engine.options(sized))
    given = {**sized, "max_lora_rank": 64, "enable_lora": True}
    roomy = gpu_engine.predict(files, gpu_engine.options(given))
    more = roomy.gpu_bytes["CUDA0"] - bare.gpu_bytes["CUDA0"]
    assert more == pytest.approx(1.1 * 4 * 64 * 20 * 2, abs=2)


def test_adapters_are_for_models_that_generate(engine: VllmEngine, files: ModelFiles) -> None:
    assert engine.capabilities(files, engine.options({"enable_lora": True})).lora
    embeds = engine.options({"enable_lora": True, "convert": "embed"})
    assert not engine.capabilities(files, embeds).lora
