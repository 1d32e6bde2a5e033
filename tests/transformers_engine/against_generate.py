"""Small models with random weights, greedy, through the host's batch and through `generate`.

A program for the environment's interpreter: python against_generate.py HOST. Prints a JSON
object of model families; each holds [answers of the batch, answers of generate].
"""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from pathlib import Path

import torch
import transformers

PROMPTS = ([5, 9, 2], list(range(10, 40)), [7], list(range(60, 78)), [3, 3, 3, 3])
LENGTHS = (24, 6, 30, 12, 18)
"""More rows than seats, of different lengths, so that they come and go all the time."""

SMALL = {
    "tie_word_embeddings": False,
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 256, "eos_token_id": None, "bos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
T5 = {
    "vocab_size": 128, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": None,
}  # fmt: skip
GPT2 = {
    "tie_word_embeddings": False,
    "vocab_size": 128, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256,
    "eos_token_id": None, "bos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
BLOOM = {
    "tie_word_embeddings": False,
    "vocab_size": 128, "hidden_size": 32, "n_layer": 2, "n_head": 4, "eos_token_id": None,
    "bos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
MAMBA = {
    "vocab_size": 128, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8,
    "eos_token_id": None, "bos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
FAMILIES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", SMALL),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", GPT2),
    "bloom": ("BloomConfig", "BloomForCausalLM", BLOOM),
    "sliding": ("Gemma2Config", "Gemma2ForCausalLM", {**SMALL, "sliding_window": 8}),
    "recurrent": ("MambaConfig", "MambaForCausalLM", MAMBA),
    "seq2seq": ("T5Config", "T5ForConditionalGeneration", T5),
}


def load_host(place: str):
    here = Path(place).parent
    spec = importlib.util.spec_from_file_location(
        "host", here / "__init__.py", submodule_search_locations=[str(here)]
    )
    sys.modules["host"] = importlib.util.module_from_spec(spec)


def batched(model) -> list[list[int]]:
    from host.generation import Generation
    from host.row import Row
    from host.sampling import Sampler, Sampling

    generation = Generation(model, parallel=3, piece=7)
    answers: list[list[int]] = [[] for _ in PROMPTS]
    ended = [threading.Event() for _ in PROMPTS]
    failures: list[str] = []

    def emit_for(index: int):
        def emit(what) -> None:
            if hasattr(what, "message"):
                failures.append(what.message)
                ended[index].set()
                return
            answers[index].extend(chosen.token for chosen in what.tokens)
            if what.finish:
                ended[index].set()

        return emit

    greedy = Sampling(temperature=0, logprobs=0)
    for index, (prompt, length) in enumerate(zip(PROMPTS, LENGTHS, strict=True)):
        sampler = Sampler(greedy, prompt, [], None)
        row = Row(
            prompt, sampler, str, limit=length, ends=[], stop=[], emit=emit_for(index)
        )  # fmt: skip
        generation.submit(row)
    generation.start()
    for event in ended:
        event.wait(60)
    generation.stop()
    assert not failures, failures
    return answers


def by_generate(model) -> list[list[int]]:
    answers = []
    for prompt, length in zip(PROMPTS, LENGTHS, strict=True):
        given = torch.tensor([prompt])
        made = model.generate(
            given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=length
        )
        answers.append(made[0, -length:].tolist())
    return answers


def main() -> None:
    load_host(sys.argv[1])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    found = {}
    for name, (config, cls, given) in FAMILIES.items():
        torch.manual_seed(7)
        model = getattr(transformers, cls)(getattr(transformers, config)(**given)).eval()
        for parameter in model.parameters():  # far enough apart that rounding decides nothing
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        found[name] = [batched(model), by_generate(model)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
