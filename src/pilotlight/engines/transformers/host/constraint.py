"""Answers held to a JSON schema, by xgrammar."""

from __future__ import annotations

import json
from typing import Any

import torch

from .refusal import Refusal


class Constraint:
    """One answer's grammar: which tokens may come next."""

    def __init__(self, grammar: Any, matcher: Any) -> None:
        self._grammar = grammar
        self._matcher = matcher

    @property
    def finished(self) -> bool:
        return bool(self._matcher.is_terminated())

    def accept(self, token: int) -> None:
        self._matcher.accept_token(token)

    def mask(self, scores: torch.Tensor) -> None:
        """Rule out, in place, every token that would break the grammar."""
        bits = self._grammar.allocate_token_bitmask(1, scores.shape[-1])
        self._matcher.fill_next_token_bitmask(bits)
        self._grammar.apply_token_bitmask_inplace(scores[None], bits.to(scores.device))


class Constraints:
    """Grammars for one model's tokens; compiled ones are kept by xgrammar."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: list[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = ends
        self._compiler: Any = None

    def schema(
        self, schema: dict[str, Any], param: str, *, ends_itself: bool = False
    ) -> Constraint:
        """With `ends_itself` the answer ends where the value does; else by a token of its own."""
        grammar = self._ready()
        try:
            # Left to itself, a small model can write white space for ever.
            compiled = self._compiler.compile_json_schema(json.dumps(schema), any_whitespace=False)
        except RuntimeError as error:
            raise Refusal(f"the schema can't be compiled: {error}", param=param) from None
        matcher = grammar.GrammarMatcher(compiled, terminate_without_stop_token=ends_itself)
        return Constraint(grammar, matcher)

    def _ready(self) -> Any:
        """xgrammar, imported and told of the tokens when the first grammar is asked for."""
        import xgrammar

        if self._compiler is None:
            tokens = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=self._vocabulary, stop_token_ids=self._ends
            )
            self._compiler = xgrammar.GrammarCompiler(tokens, max_threads=1)
        return xgrammar
