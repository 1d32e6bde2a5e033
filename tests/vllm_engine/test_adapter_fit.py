"""Which adapters fit over which model, and what is said of those that don't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import Adapter, Adapts, ModelJob
from pilotlight.engines.vllm import VllmEngine
from pilotlight.errors import AdapterError

from .checkpoints import LLAMA, write_model
from .peft_lora import Shapes, halves, write_lora

Q = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.1.mlp.down_proj"
TABLE = "model.embed_tokens"

Tensors = dict[str, tuple[str, tuple[int, ...], int]]


def tensors(*, prefix: str = "model.", dtype: tuple[str, int] = ("BF16", 2)) -> Tensors:
    """Of a small Llama whose output is tied to its input, by name."""
    kind, size = dtype
    found = {f"{prefix}embed_tokens.weight": (kind, (128, 64), size)}
    for layer in range(2):
        for name, shape in BLOCK.items():
            found[f"{prefix}layers.{layer}.{name}.weight"] = (kind, shape, size)
    return found


BLOCK: dict[str, tuple[int, ...]] = {
    "self_attn.q_proj": (64, 64),
    "self_attn.k_proj": (32, 64),
    "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (96, 64),
    "mlp.up_proj": (96, 64),
    "mlp.down_proj": (64, 96),
    "input_layernorm": (64,),
}


@pytest.fixture
def model(tmp_path: Path) -> ModelFiles:
    return write_model(tmp_path / "llama", tensors=tensors())


def check(engine: VllmEngine, model: ModelFiles, lora: ModelFiles, **given: Any) -> None:
    options = engine.options({"enable_lora": True, **given})
    engine.check_adapter(ModelJob("tiny", model, options), Adapter("a", lora))


def refusal(engine: VllmEngine, model: ModelFiles, lora: ModelFiles, **given: Any) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        check(engine, model, lora, **given)
    assert caught.value.message.startswith("adapter 'a' can't be laid over 'tiny': ")
    return caught.value


def test_one_that_fits(engine: VllmEngine, model: ModelFiles, tmp_path: Path) -> None:
    assert isinstance(engine, Adapts)
    made = halves({Q: (64, 64), DOWN: (64, 96)}, 4)
    check(engine, model, write_lora(tmp_path / "a", made))
    table = {
        f"base_model.model.{TABLE}.lora_embedding_A": (4, 128),
        f"base_model.model.{TABLE}.lora_embedding_B": (64, 4),
        f"base_model.model.{TABLE}.base_layer.weight": (128, 64),
    }
    check(engine, model, write_lora(tmp_path / "table", table))
    check(engine, model, write_lora(tmp_path / "head", halves({"lm_head": (128, 64)}, 4)))


def test_a_model_without_room_for_any(
    engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    lora = write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4))
    assert refusal(engine, model, lora, enable_lora=False).hint == (
        "set the model's option enable_lora: true"
    )
    assert "generates no text" in refusal(engine, model, lora, convert="embed").message


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "BertModel"])
def test_models_that_vllm_adapts_none_over(
    architecture: str, engine: VllmEngine, tmp_path: Path
) -> None:
    config = {**LLAMA, "architectures": [architecture]}
    model = write_model(tmp_path / "other", config, tensors=tensors())
    refusal(engine, model, write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4)))


@pytest.mark.parametrize(
    ("rank", "given", "hint"),
    [
        (17, {}, "set the model's option max_lora_rank: 32"),
        (16, {"max_lora_rank": 8}, "set the model's option max_lora_rank: 16"),
        (513, {"max_lora_rank": 512}, "vLLM takes no rank over 512: train it with less"),
    ],
)
def test_a_rank_over_the_limit(
    rank: int,
    given: dict[str, Any],
    hint: str,
    engine: VllmEngine,
    model: ModelFiles,
    tmp_path: Path,
) -> None:
    lora = write_lora(tmp_path / "a", halves({Q: (64, 64)}, rank), rank=rank)
    assert refusal(engine, model, lora, **given).hint == hint


def test_a_pattern_may_be_what_is_over_it(
    engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    made = {**halves({Q: (64, 64)}, 4), **halves({DOWN: (64, 96)}, 64)}
    lora = write_lora(tmp_path / "a", made, rank_pattern={"down_proj": 64})
    assert "its rank is 64, and the model has room for 16" in refusal(engine, model, lora).message
    check(engine, model, lora, max_lora_rank=64)


@pytest.mark.parametrize(
    "more",
    [
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["score"]},
        {"use_dora": True},
        {"bias": "lora_only"},
        {"lora_bias": True},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "loftq"},
        {"alora_invocation_tokens": [1, 2]},
        {"layer_replication": [[0, 2]]},
        {"use_bdlora": {"nblocks": 2}},
        {"use_qalora": True},
        {"trainable_token_indices": [0]},
    ],
    ids=str,
)
def test_what_vllm_does_not_do_is_named(
    more: dict[str, Any], engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    lora = write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4), **more)
    ((name, value),) = more.items()
    assert f"its {name} is {value!r}, which vLLM doesn't do" in refusal(engine, model, lora).message


@pytest.mark.parametrize("start", [True, False, "gaussian", "EVA", "orthogonal"])
def test_plain_starts_are_plain(
    start: bool | str, engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    made = halves({Q: (64, 64)}, 4)
    check(engine, model, write_lora(tmp_path / "a", made, init_lora_weights=start))


def only(side: str) -> Shapes:
    made = halves({Q: (64, 64)}, 4)
    return {name: shape for name, shape in made.items() if f"lora_{side}" in name}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (halves({"model.layers.2.self_attn.q_proj": (64, 64)}, 4), "the model has none"),
        (halves({"model.layers.0.self_attn": (64, 64)}, 4), "the model has none"),
        (halves({Q: (64, 96)}, 4), f"'{Q}' is 64 × 64 in the model, and the adapter's is for"),
        (halves({DOWN: (96, 64)}, 4), "is 64 × 96 in the model, and the adapter's is for 96 × 64"),
        (halves({"model.layers.0.input_layernorm": (64, 64)}, 4), "is 64 in the model"),
        (halves({"lm_head": (129, 64)}, 4), "is 128 × 64 in the model"),
        (halves({Q: (64, 64)}, 8), "the ranks 8 and 8, and its configuration says 4"),
        (only("A"), "has no B half"),
        (only("B"), "has no A half"),
        ({}, "no LoRA tensors"),
        ({f"base_model.model.{Q}.lora_magnitude_vector": (64,)}, "is half of no LoRA pair"),
        ({"base_model.model.lm_head.weight": (128, 64)}, "is half of no LoRA pair"),
        (
            {
                f"base_model.model.{Q}.lora_A.weight": (4, 8, 8),
                f"base_model.model.{Q}.lora_B.weight": (64, 4),
            },
            r"has the shape (4, 8, 8)",
        ),
        (
            {
                f"base_model.model.{TABLE}.lora_embedding_A": (4, 130),
                f"base_model.model.{TABLE}.lora_embedding_B": (64, 4),
            },
            "is 128 × 64 in the model, and the adapter's is for 130 × 64",
        ),
        (
            {**only("A"), **only("B"), f"base_model.model.{TABLE}.base_layer.weight": (130, 64)},
            "a vocabulary of 130 tokens, and the model's has 128",
        ),
    ],
)
def test_tensors_that_do_not_fit(
    made: Shapes, words: str, engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    assert words in refusal(engine, model, write_lora(tmp_path / "a", made)).message


def test_a_name_that_vllm_would_pass_over(
    engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    """Trained on the bare model: the last part is known, and no layer has the whole."""
    bare = halves({"layers.0.self_attn.q_proj": (64, 64)}, 4)
    error = refusal(engine, model, write_lora(tmp_path / "a", bare))
    assert error.hint is not None
    assert "AutoModelForCausalLM" in error.hint


def test_a_bare_models_file_under_a_model_with_a_head(engine: VllmEngine, tmp_path: Path) -> None:
    bare = write_model(tmp_path / "bare", tensors=tensors(prefix=""))
    check(engine, bare, write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4)))
    own = halves({"layers.0.self_attn.q_proj": (64, 64)}, 4)
    refusal(engine, bare, write_lora(tmp_path / "b", own))


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("Qwen2ForCausalLM", "lm_head"),
        ("CohereForCausalLM", "lm_head"),
        ("Gemma2ForCausalLM", TABLE),
    ],
)
def test_tables_that_vllm_leaves_alone(
    architecture: str, layer: str, engine: VllmEngine, tmp_path: Path
) -> None:
    config = {**LLAMA, "architectures": [architecture]}
    model = write_model(tmp_path / "other", config, tensors=tensors())
    lora = write_lora(tmp_path / "a", halves({layer: (128, 64)}, 4))
    assert f"which vLLM can't in a {architecture}" in refusal(engine, model, lora).message
    check(engine, model, write_lora(tmp_path / "b", halves({Q: (64, 64)}, 4)))


def test_packed_weights_tell_no_extents(engine: VllmEngine, tmp_path: Path) -> None:
    packed: Tensors = {f"{Q}.qweight": ("I32", (8, 64), 4), f"{Q}.scales": ("F16", (1, 64), 2)}
    model = write_model(tmp_path / "packed", tensors=packed)
    check(engine, model, write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4)))
    assert "the model has none" in (
        refusal(engine, model, write_lora(tmp_path / "b", halves({DOWN: (64, 96)}, 4))).message
    )


def test_models_that_see(engine: VllmEngine, tmp_path: Path) -> None:
    """The part that reads text has one name in the file and another in the adapter."""
    config = {**LLAMA, "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}
    eye = "vision_tower.layers.0.self_attn.q_proj"
    own = {**tensors(prefix="language_model.model."), f"{eye}.weight": ("BF16", (64, 64), 2)}
    model = write_model(tmp_path / "sees", config, tensors=own)
    renamed = "model.language_model.layers.0.self_attn.q_proj"
    check(engine, model, write_lora(tmp_path / "a", halves({renamed: (64, 64)}, 4)))
    wide = write_lora(tmp_path / "b", halves({renamed: (64, 96)}, 4))
    assert "is 64 × 64 in the model" in refusal(engine, model, wide).message
    looking = write_lora(tmp_path / "c", halves({eye: (64, 64)}, 4))
    assert "vLLM adapts what reads text alone" in refusal(engine, model, looking).message


def test_experts_in_one_tensor(engine: VllmEngine, tmp_path: Path) -> None:
    experts = "model.layers.0.mlp.experts"
    own: Tensors = {
        f"{experts}.gate_up_proj": ("BF16", (4, 64, 192), 2),
        f"{experts}.down_proj": ("BF16", (4, 96, 64), 2),
    }
    model = write_model(tmp_path / "moe", tensors=own)
    made = halves({experts: (64, 96), f"{experts}.base_layer": (192, 64)}, 4 * 4)
    check(engine, model, write_lora(tmp_path / "a", made))
    uneven = {**made, f"base_model.model.{experts}.lora_A.weight": (12, 96)}
    assert "the ranks 12 and 16" in (
        refusal(engine, model, write_lora(tmp_path / "b", uneven)).message
    )


def test_other_forms_say_what_to_give(
    engine: VllmEngine, model: ModelFiles, tmp_path: Path
) -> None:
    gguf = tmp_path / "lora.gguf"
    gguf.write_bytes(b"GGUF")
    error = refusal(engine, model, ModelFiles(ModelRef("file", str(gguf)), gguf, 4))
    assert "is a GGUF file, and vLLM loads the directory that PEFT saved" in error.message
    whole = write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4)).path
    part = whole / "adapter_model.safetensors"
    error = refusal(engine, model, ModelFiles(ModelRef("file", str(part)), part, 4))
    assert error.hint == f"give {whole}"
    (whole / "adapter_config.json").unlink()
    error = refusal(engine, model, ModelFiles(ModelRef("file", str(whole)), whole, 4))
    assert "there is no" in error.message


def test_a_model_of_pickles_has_no_headers(engine: VllmEngine, tmp_path: Path) -> None:
    model = write_model(tmp_path / "pickled", tensors={})
    (model.path / "pytorch_model.bin").write_bytes(b"pickled")
    check(engine, model, write_lora(tmp_path / "a", halves({Q: (64, 64)}, 4)), load_format="pt")
