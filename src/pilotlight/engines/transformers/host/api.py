"""The operations of one loaded model, each from a request's body to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

from . import embedding, prompt, reading, tools
from .answers import Document, usage
from .asgi import Answer, Events, Handler
from .chat import ChatWriter, parts_for
from .completion import CompletionWriter
from .constraint import Constraint, Constraints
from .generation import Generation
from .loading import Loaded
from .reading import Asked
from .row import Row
from .sampling import Sampler
from .stream import Make, pieces

Constrain = Callable[[], Constraint | None]
Writer = ChatWriter | CompletionWriter


class Api:
    def __init__(self, loaded: Loaded, generation: Generation) -> None:
        self._loaded = loaded
        self._generation = generation
        self._constraints = Constraints(loaded.tokenizer, loaded.vocabulary, loaded.ends)

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        found: dict[tuple[str, str], Handler] = {
            ("POST", "/tokenize"): self.tokenize,
            ("POST", "/detokenize"): self.detokenize,
            ("GET", "/progress"): self.progress,
        }
        if self._loaded.job.kind != "encoder":
            found["POST", "/v1/completions"] = self.complete
        if self._loaded.job.kind != "encoder" and self._loaded.tokenizer.chat_template:
            found["POST", "/v1/chat/completions"] = self.chat
        if self._loaded.job.embeds:
            found["POST", "/v1/embeddings"] = self.embed
        return found

    async def chat(self, body: Document) -> Answer:
        reading.reject_unknown(body, reading.CHAT)
        logprobs = (body.get("top_logprobs") or 0) if body.get("logprobs") else None
        asked = reading.read(self._loaded, body, logprobs)
        text = prompt.of_chat(self._loaded, body)
        forced = tools.forced(self._constraints, body)
        text += tools.OPENING if forced else ""
        tokens = prompt.tokens_of_chat(self._loaded, text)
        shape = reading.shape_of(self._constraints, body)
        rows = self._rows(asked, [tokens], forced or shape)
        parts = parts_for(self._loaded, body, text, forced is not None)
        writer = ChatWriter(self._loaded, len(rows), len(tokens), parts, streams=asked.stream)
        return await self._answer(asked, rows, writer)

    async def complete(self, body: Document) -> Answer:
        reading.reject_unknown(body, reading.COMPLETIONS)
        asked = reading.read(self._loaded, body, body.get("logprobs"))
        prompts = prompt.of_texts(self._loaded, "prompt", body.get("prompt"))
        rows = self._rows(asked, prompts, _unbound)
        writer = CompletionWriter(self._loaded, len(rows), sum(map(len, prompts)))
        return await self._answer(asked, rows, writer)

    def _rows(self, asked: Asked, prompts: list[list[int]], shape: Constrain) -> list[Make]:
        """`asked.count` answers for each prompt. Raises Refusal where one is too long."""
        return [
            self._row(asked, tokens, index, shape())
            for tokens in prompts
            for index in range(asked.count)
        ]

    def _row(
        self, asked: Asked, tokens: list[int], index: int, constraint: Constraint | None
    ) -> Make:
        limit = reading.limit_of(asked, tokens, self._loaded.job.context)
        settings = replace(asked.sampling, seed=asked.seed(index))
        sampler = Sampler(settings, tokens, asked.ends, constraint)
        return lambda emit: Row(
            tokens,
            sampler,
            self._loaded.decode,
            limit=limit,
            ends=asked.ends,
            stop=asked.stop,
            emit=emit,
        )

    async def _answer(self, asked: Asked, rows: list[Make], writer: Writer) -> Answer:
        if asked.stream:
            return Events(self._events(asked, rows, writer))
        async with aclosing(pieces(self._generation, rows)) as arriving:
            async for index, piece in arriving:
                writer.add(index, piece)
        return writer.whole()

    async def _events(
        self, asked: Asked, rows: list[Make], writer: Writer
    ) -> AsyncGenerator[Document]:
        async with aclosing(pieces(self._generation, rows)) as arriving:
            async for index, piece in arriving:
                for chunk in writer.chunks(index, piece):
                    yield chunk
        if asked.counts_stream:
            yield writer.counted()

    async def embed(self, body: Document) -> Answer:
        reading.reject_unknown(body, reading.EMBEDDINGS)
        inputs = prompt.of_texts(self._loaded, "input", body.get("input"))
        embedding.reject_long(self._loaded, inputs)
        # One at a time: answers go on in between, and a client that leaves ends it.
        vectors = [await self._vector(tokens) for tokens in inputs]
        coded = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index,
             "embedding": embedding.as_base64(vector) if coded else vector}
            for index, vector in enumerate(vectors)
        ]  # fmt: skip
        counted = usage(sum(map(len, inputs)), 0)
        return {
            "object": "list", "data": data, "model": self._loaded.job.name, "usage": counted,
        }  # fmt: skip

    async def _vector(self, tokens: list[int]) -> list[float]:
        work = self._generation.compute(lambda: embedding.embed(self._loaded, tokens))
        return await asyncio.wrap_future(work)

    async def tokenize(self, body: Document) -> Answer:
        reading.reject_unknown(body, reading.TOKENIZE)
        return prompt.tokenize(self._loaded, body)

    async def detokenize(self, body: Document) -> Answer:
        reading.reject_unknown(body, reading.DETOKENIZE)
        return prompt.detokenize(self._loaded, body)

    async def progress(self, body: Document) -> Answer:
        return {"progress": self._generation.progress}


def _unbound() -> None:
    """An answer of any shape."""
