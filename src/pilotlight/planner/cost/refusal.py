"""What a platform doesn't do at any price, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.catalog.platform import GIB, Offer, Platform, Rentable
from pilotlight.quantities import about_bytes, about_seconds

BYTES_PER_TOKEN = 200
"""Of a streamed answer: a token's text in a chunk of JSON; measured ones have 150 to 250."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a plan asks of one instance and of its platform."""

    memory_bytes: int
    image_bytes: int
    """Model and engine, where they come as one image."""

    request_s: float
    """The longest one."""

    output_tokens: float
    concurrency: int
    instances: int


def refusals(rentable: Rentable, demand: Demand) -> tuple[str, ...]:
    """Reasons why it can't run there; none where it can."""
    return (
        *_of_memory(rentable.offer, demand),
        *_of_requests(rentable.platform, demand),
        *_of_instances(rentable.platform, demand),
    )


def _of_memory(offer: Offer, demand: Demand) -> Iterator[str]:
    if demand.memory_bytes > offer.memory_bytes:
        short = about_bytes(demand.memory_bytes - offer.memory_bytes)
        yield f"{offer.name} is {short} short of memory"


def _of_requests(platform: Platform, demand: Demand) -> Iterator[str]:
    limits, title = platform.limits, platform.title
    if limits.concurrency is not None and demand.concurrency > limits.concurrency:
        requests = "1 request" if limits.concurrency == 1 else f"{limits.concurrency} requests"
        yield f"{title} gives an instance {requests} at once, not {demand.concurrency}"
    if limits.request_s is not None and demand.request_s > limits.request_s:
        yield (
            f"a request may take {about_seconds(demand.request_s)}, and {title} ends it after "
            f"{about_seconds(limits.request_s)}"
        )
    answer_bytes = demand.output_tokens * BYTES_PER_TOKEN
    if limits.response_mib is not None and answer_bytes > limits.response_mib * 2**20:
        yield f"an answer of {about_bytes(answer_bytes)} is over {limits.response_mib:g} MiB"


def _of_instances(platform: Platform, demand: Demand) -> Iterator[str]:
    limits, title = platform.limits, platform.title
    if limits.image_gib is not None and demand.image_bytes > limits.image_gib * GIB:
        size = about_bytes(demand.image_bytes)
        yield f"an image of {size} is over {title}'s {limits.image_gib:g} GiB"
    if limits.instances is not None and demand.instances > limits.instances:
        yield f"it takes {demand.instances} instances, and {platform.name} has {limits.instances}"
