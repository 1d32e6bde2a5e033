"""Models whose state can't be joined, one answer at a time through their own `generate`.

Recurrent, hybrid and encoder-decoder models, and whatever keeps a cache of its own kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from .row import Row
from .sampling import choose


def answer(model: Any, row: Row, limit: int, moved: Callable[[], None]) -> None:
    """Until `row` is done; `moved` hears of every token."""
    device = model.get_input_embeddings().weight.device
    prompt = torch.tensor([row.prompt], device=device)
    model.generate(
        inputs=prompt,
        attention_mask=torch.ones_like(prompt),
        generation_config=_greedy(model.generation_config, limit),
        logits_processor=LogitsProcessorList([_Choice(row, moved)]),
        stopping_criteria=StoppingCriteriaList([_Done(row)]),
    )
    if not row.done:
        raise RuntimeError("generate ended before its answer did")


class _Choice:
    """Chooses here, and leaves `generate` no other token than that one."""

    def __init__(self, row: Row, moved: Callable[[], None]) -> None:
        self._row = row
        self._moved = moved

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = choose(self._row.sampler, scores[0].float(), int(scores[0].argmax()))
        self._row.accept(chosen)
        self._moved()
        only = torch.full_like(scores, float("-inf"))
        only[:, chosen.token] = 0.0
        return only


class _Done:
    def __init__(self, row: Row) -> None:
        self._row = row

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._row.done, device=input_ids.device)


def _greedy(own: Any, limit: int) -> Any:
    """The model's special tokens, and nothing of its sampling: that is the row's."""
    names = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")
    known = {name: getattr(own, name, None) for name in names}
    ends = known["eos_token_id"]
    if known["pad_token_id"] is None:
        known["pad_token_id"] = ends[0] if isinstance(ends, list) else ends
    del known["eos_token_id"]  # the row knows when it ends, and may be told to go on
    return GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=limit, **known)
