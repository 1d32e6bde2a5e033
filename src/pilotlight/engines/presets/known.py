"""The servers there are presets for, from their own documentation and source as of 2026-11.

None of them was run here: they need accelerators or container images that this project's
tests don't have. Their command lines are held by golden tests, and the machinery they share
is run for real by the generic `command`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.core import Operation
from pilotlight.engines.presets.preset import Preset

_SAMPLING = frozenset({"top_k", "min_p", "repetition_penalty", "stop_token_ids", "ignore_eos"})

SGLANG = Preset(
    name="sglang",
    title="SGLang",
    source="https://docs.sglang.io/advanced_features/server_arguments.html",
    program=("python3", "-m", "sglang.launch_server"),
    arguments=(
        "--model-path", "{model}", "--served-model-name", "{name}", "--host", "127.0.0.1",
        "--port", "{port}", "--enable-metrics",
    ),
    flags={
        "context": "--context-length",
        "parallel": "--max-running-requests",
        "tensor_parallel": "--tensor-parallel-size",
        "data_parallel": "--data-parallel-size",
        "gpu_memory_fraction": "--mem-fraction-static",
        "quantization": "--quantization",
        "dtype": "--dtype",
        "cache_type": "--kv-cache-dtype",
    },
    counters=("sglang:prompt_tokens_total", "sglang:generation_tokens_total"),
    usual_port=30000,
    parameters=_SAMPLING | {"min_tokens", "chat_template_kwargs", "continue_final_message"},
    install="pip install sglang into an environment of its own, and set program to its python",
)  # fmt: skip

TENSORRT_LLM = Preset(
    name="tensorrt-llm",
    title="TensorRT-LLM (trtllm-serve)",
    source="https://nvidia.github.io/TensorRT-LLM/commands/trtllm-serve.html",
    program=("trtllm-serve", "serve"),
    arguments=("{model}", "--host", "127.0.0.1", "--port", "{port}"),
    flags={
        "context": "--max_seq_len",
        "parallel": "--max_batch_size",
        "tensor_parallel": "--tp_size",
        "pipeline_parallel": "--pp_size",
        "expert_parallel": "--ep_size",
        "gpu_memory_fraction": "--kv_cache_free_gpu_memory_fraction",
        "backend": "--backend",
    },
    # /metrics holds JSON statistics of iterations; Prometheus' text is at /prometheus/metrics,
    # and only with return_perf_metrics in its own configuration file.
    metrics="/metrics",
    usual_port=8000,
    parameters=_SAMPLING,
    install="run it from NVIDIA's tensorrt-llm image, or pip install tensorrt-llm",
)

TGI = Preset(
    name="tgi",
    title="Text Generation Inference",
    source="https://huggingface.co/docs/text-generation-inference/reference/launcher",
    program=("text-generation-launcher",),
    arguments=(
        "--model-id", "{model}", "--hostname", "127.0.0.1", "--port", "{port}",
        "--shard-uds-path", "{directory}/shard",
    ),
    flags={
        "context": "--max-total-tokens",
        "parallel": "--max-concurrent-requests",
        "tensor_parallel": "--num-shard",
        "quantization": "--quantize",
        "dtype": "--dtype",
        "gpu_memory_fraction": "--cuda-memory-fraction",
    },
    environment={"API_KEY": "{secret}"},
    counters=(
        "tgi_request_input_length_sum", "tgi_request_generated_tokens_sum",
        "tgi_batch_inference_count",
    ),
    usual_port=3000,
    install="run it from its container image, or build it from source",
)  # fmt: skip

TRITON = Preset(
    name="triton",
    title="Triton's OpenAI front end",
    source="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/client_guide/openai_readme.html",
    program=("python3", "/opt/tritonserver/python/openai/openai_frontend/main.py"),
    arguments=("--model-repository", "{model}", "--host", "127.0.0.1", "--openai-port", "{port}"),
    flags={"tokenizer": "--tokenizer", "backend": "--backend"},
    required=("tokenizer", "model_name"),
    ready="/health/ready",
    counters=("nv_inference_request_success", "nv_inference_count"),
    usual_port=9000,
    install="run it from NVIDIA's tritonserver image",
)

JETSTREAM = Preset(
    name="jetstream",
    title="JetStream, behind MaxText's API server",
    source="https://github.com/AI-Hypercomputer/JetStream",
    # JetStream's own HTTP server speaks /v1/generate and no OpenAI; what does is MaxText's API
    # server in front of it, which is started by a job of many hosts and not by one command.
    program=(),
    ready="/",
    metrics=None,
    usual_port=8000,
    install="start MaxText's API server on its TPU hosts, and give its address as endpoint",
)

COMMAND = Preset(
    name="command",
    title="any server with an OpenAI-compatible API",
    source="its own documentation",
    program=(),
    metrics=None,
    operations=frozenset({Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS}),
    tried_here=True,
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset for preset in (SGLANG, TENSORRT_LLM, TGI, TRITON, JETSTREAM, COMMAND)
}
