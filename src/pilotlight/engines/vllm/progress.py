"""How far a start has come, read from vLLM's log: the only place where it says so."""

from __future__ import annotations

# Told in this order; a model without compilation leaves some out.
_PHASES = (
    ("version ", "importing"),
    ("Resolved architecture", "reading the configuration"),
    ("Initializing a V1 LLM engine", "starting the engine"),
    ("Starting to load model", "loading weights"),
    ("Loading weights took", "weights are loaded"),
    ("Warming up model for the compilation", "compiling"),
    ("Dynamo bytecode transform", "compiling"),
    ("Capturing CUDA graphs", "capturing graphs"),
    ("Warming up done", "compiled"),
    ("KV cache size", "preparing the cache"),
    ("Starting vLLM server", "opening its door"),
)


def phase(log: str) -> str | None:
    """The last phase that `log` tells of; None before the first."""
    found = [(log.rfind(sign), name) for sign, name in _PHASES]
    at, name = max(found)
    return name if at >= 0 else None


def steps(metrics: str) -> int:
    """A counter that grows with all work: engine steps, tokens and requests that ended.

    A step is what vLLM computes at once, so this moves during a long prompt too.
    """
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in metrics.splitlines()
        if line.startswith(_COUNTERS)
    )


_COUNTERS = (
    "vllm:iteration_tokens_total_count{",
    "vllm:prompt_tokens_total{",
    "vllm:generation_tokens_total{",
    "vllm:request_success_total{",
)
