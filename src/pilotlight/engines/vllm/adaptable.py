"""Which models vLLM lays adapters over, as the classes of vLLM 0.32 declare it.

`supports_lora` and `embedding_modules` of its text models, by the architecture's
name in config.json. An architecture in none of the sets is one that vLLM is left to
decide on.
"""

from __future__ import annotations

EMBEDDINGS = frozenset({"embed_tokens", "lm_head", "wte"})
"""Tables of the vocabulary: no linear layers, and adapted only where the model's class says so."""

WITHOUT_ADAPTERS = frozenset({
    "BailingMoeV2_5ForCausalLM", "BailingMoeV3ForCausalLM", "BloomForCausalLM",
    "Cohere2MoeForCausalLM", "DbrxForCausalLM", "FalconForCausalLM", "FalconMambaForCausalLM",
    "GPT2LMHeadModel", "GPTJForCausalLM", "Gemma3nForCausalLM", "HrmTextForCausalLM",
    "IQuestLoopCoderForCausalLM", "Mamba2ForCausalLM", "MambaForCausalLM",
    "MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM", "OrionForCausalLM", "StableLmForCausalLM",
    "Step1ForCausalLM", "Step3TextForCausalLM", "Step3p5ForCausalLM", "Zamba2ForCausalLM",
})  # fmt: skip

_LAYERS_ONLY = frozenset({
    "AXK1ForCausalLM", "AfmoeForCausalLM", "BailingMoeForCausalLM", "BailingMoeV2ForCausalLM",
    "ChatGLMForConditionalGeneration", "ChatGLMModel", "DeepseekForCausalLM",
    "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "Ernie4_5_MoeForCausalLM",
    "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma4ForCausalLM", "GemmaForCausalLM",
    "Glm4ForCausalLM", "Glm4MoeForCausalLM", "Glm4MoeLiteForCausalLM", "GptOssForCausalLM",
    "HYV3ForCausalLM", "InternLM2ForCausalLM", "LagunaForCausalLM", "LongcatFlashForCausalLM",
    "LongcatFlashNgramForCausalLM", "MiMoForCausalLM", "MiniMaxM2ForCausalLM",
    "Ministral3ForCausalLM", "MistralForCausalLM", "MistralLarge3ForCausalLM",
    "OPTForCausalLM", "OlmoHybridForCausalLM", "OlmoeForCausalLM", "PanguEmbeddedForCausalLM",
    "PanguProMoEV2ForCausalLM", "PanguUltraMoEForCausalLM", "Plamo3ForCausalLM",
    "Qwen2ForCausalLM", "Qwen2MoeForCausalLM", "Qwen3NextForCausalLM", "Rnj1ForCausalLM",
    "SarvamMLAForCausalLM", "SarvamMoEForCausalLM",
})  # fmt: skip

_INPUT_ONLY = frozenset({"Cohere2ForCausalLM", "CohereForCausalLM"})


def adapts(architecture: str, layer: str) -> bool:
    """Whether an adapter may change `layer`, the last part of a module's name."""
    if layer not in EMBEDDINGS or architecture not in _LAYERS_ONLY | _INPUT_ONLY:
        return True
    return architecture in _INPUT_ONLY and layer == "embed_tokens"
