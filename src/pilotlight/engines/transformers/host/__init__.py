"""The process that runs transformers, in that engine's own environment.

Started by path (see __main__.py) and imports nothing of the product, whose packages that
environment lacks; its modules name each other relatively for that reason. `transformers
serve` was left out: it has no seed of a request's own, no logprobs, no ``n``, no presence
penalty and no tool choice, and takes every request's sampling from the first one when it
batches (5.19).

    process.py      parked → load → ready → unload → parked, over a channel
    asgi.py         HTTP on the seat's socket, the secret, a client that leaves
    api.py          the operations, each from a body to an answer
    generation.py   one thread computes: prompts in pieces, answers in one batch
"""
