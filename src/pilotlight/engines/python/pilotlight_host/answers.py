"""What is answered at which path."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .chat import chat
from .connection import Connection, Request
from .model import METHODS, Model
from .refusal import Refusal

_HELLO = {"messages": [{"role": "user", "content": "Hi"}]}


async def answer(model: Model, request: Request, connection: Connection) -> None:
    """Raises Refusal for what can't be answered."""
    handle = _HANDLERS.get((request.method, request.path))
    if handle is None:
        raise Refusal(404, f"nothing is at {request.method} {request.path}")
    body = _object(request.body) if request.method == "POST" else {}
    operation = _OPERATIONS.get(request.path)
    if operation is not None and not model.can(operation):
        raise Refusal(404, f"this class has no {METHODS[operation]}")
    await handle(model, body, connection)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body is no JSON object")
    return body


async def _predict(model: Model, body: dict[str, Any], connection: Connection) -> None:
    body.pop("model", None)
    result = await model.ask("predict", body)
    try:
        json.dumps(result, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Refusal(500, f"predict returned what JSON can't hold: {error}") from None
    await connection.json(result)


async def _embed(model: Model, body: dict[str, Any], connection: Connection) -> None:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "'input' is no text or array of texts", param="input")
    vectors = _vectors(await model.ask("embeddings", texts), len(texts))
    encode = _base64 if body.get("encoding_format") == "base64" else list
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vector)}
        for index, vector in enumerate(vectors)
    ]
    await connection.json({"object": "list", "model": model.name, "data": data})


def _vectors(returned: Any, count: int) -> list[list[float]]:
    """Lists, or an array of numpy's or its kin."""
    try:
        rows = returned.tolist() if hasattr(returned, "tolist") else returned
        vectors = [[float(number) for number in row] for row in rows]
    except (TypeError, ValueError) as error:
        raise Refusal(500, f"embed returned no vectors: {error}") from None
    if len(vectors) != count:
        raise Refusal(500, f"embed returned {len(vectors)} vectors for {count} texts")
    return vectors


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def _canary(model: Model, body: dict[str, Any], connection: Connection) -> None:
    """The first piece of an answer, or a whole one where there are no pieces.

    What `predict` takes only the class knows: without an `example` its setup is the proof.
    """
    if model.can("chat"):
        pieces = model.pieces(dict(model.example or _HELLO))
        try:
            async for _ in pieces:
                break
        finally:
            await pieces.aclose()
    elif model.can("predict") and model.example is not None:
        await model.ask("predict", dict(model.example))
    elif model.can("embeddings"):
        await model.ask("embeddings", ["Hi"])
    await connection.json({"progress": model.progress})


async def _progress(model: Model, body: Mapping[str, Any], connection: Connection) -> None:
    await connection.json({"progress": model.progress})


_Handle = Callable[[Model, dict[str, Any], Connection], Awaitable[None]]
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/predict": "predict",
}
_HANDLERS: Mapping[tuple[str, str], _Handle] = {
    ("POST", "/v1/chat/completions"): chat,
    ("POST", "/v1/embeddings"): _embed,
    ("POST", "/v1/predict"): _predict,
    ("POST", "/canary"): _canary,
    ("GET", "/progress"): _progress,
}
