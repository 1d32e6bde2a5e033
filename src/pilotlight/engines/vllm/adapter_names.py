"""What a model's adapters are called inside vLLM: ``model:adapter #tag``.

To vLLM a name is an adapter: requests of one name are one when it gathers a
batch's adapters (`LoRARequest.__eq__`), and their prefixes share the cache. So
bytes that come after others under the same name get a name of their own, and both
are served until the last request of the old is answered. Clients read the name
without the tag; see host.py.
"""

from __future__ import annotations

import hashlib

import msgspec

from pilotlight.engines.base import Adapter, ModelJob
from pilotlight.engines.vllm.host import TAG

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def name_of(job: ModelJob, adapter: Adapter) -> str:
    """No model's name or alias has the space in it, so no request gets here by chance."""
    what = f"{adapter.files.path}\0{adapter.stamp}".encode()
    return f"{job.served_name(adapter.name)}{TAG}{hashlib.blake2b(what, digest_size=6).hexdigest()}"


def address(payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
    """`payload` with the adapter's name for a model; for the bare model any other name does."""
    if adapter is None:
        return payload
    chosen = next(each for each in job.adapters if each.name == adapter)
    fields = _FIELDS.decode(payload)
    fields["model"] = msgspec.Raw(msgspec.json.encode(name_of(job, chosen)))
    return msgspec.json.encode(fields)
