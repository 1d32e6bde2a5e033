"""The engines' key: made once, at random, where it is used. It is in no file that is rendered."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from pilotlight.deploy.kubernetes.document import Body, metadata
from pilotlight.deploy.kubernetes.layout import Layout
from pilotlight.deploy.kubernetes.pods import KEYS_KEY

ID_CHARACTERS, SECRET_BYTES = 8, 32
MADE = "made at random, once; it is never replaced or shown"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """One Secret that holds a tenant's engines' key: theirs, or the gateway's copy of it."""

    tenant: str | None
    namespace: str
    name: str
    component: str


def places(layout: Layout) -> Iterator[KeyPlace]:
    """The engines' own first; the gateway's copy of a tenant's comes right after it."""
    for tenant in layout.places:
        namespace = layout.namespace_of(tenant)
        yield KeyPlace(tenant, namespace, layout.engine_secret, "engine")
        if tenant is not None:
            yield KeyPlace(tenant, layout.home, layout.lent_secret(tenant), "gateway")


def stub(layout: Layout, place: KeyPlace) -> Body:
    """What is said of it: that it is there."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(place.name, place.namespace, layout.labels(place.component)),
        "type": "Opaque",
        "data": MADE,
    }


def content(random_bytes: bytes) -> dict[str, str]:
    """The Secret's data (base64) from `ID_CHARACTERS + SECRET_BYTES` bytes nobody can guess."""
    id = "".join("0123456789abcdefghijklmnopqrstuv"[byte % 32] for byte in random_bytes[:8])
    secret = base64.urlsafe_b64encode(random_bytes[8:]).rstrip(b"=").decode()
    kept = {
        "id": id,
        "name": "gateway",
        "role": "user",
        "digest": hashlib.sha256(secret.encode()).hexdigest(),
        # It is as old as its Secret, which says when that was.
        "created_s": 0,
    }
    keys = json.dumps({"version": 1, "keys": [kept]}, separators=(",", ":"))
    data = {"key": f"pl-{id}-{secret}", KEYS_KEY: keys}
    return {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}


def script(layout: Layout) -> str:
    """The same by hand, for whoever applies the files without us."""
    lines = [_SCRIPT_HEAD.replace("RELEASE", layout.name)]
    for tenant in layout.places:
        where = [f"{p.namespace}/{p.name}" for p in places(layout) if p.tenant == tenant]
        lines.append(f"make_key {' '.join(where)}")
    return "\n".join([*lines, ""])


_SCRIPT_HEAD = """\
#!/bin/sh
# Makes the key that engines ask their gateway for: at random, and only where there is none yet.
# It is in no file, so this is run once, after the namespaces are there and before the rest.
# KUBECTL may hold kubectl's own flags: KUBECTL="kubectl --context=x" ./engine-key.sh
set -eu
kubectl=${KUBECTL:-kubectl}

# The first place is the engines' own; a second one is the gateway's copy of the same key.
make_key() {
  if $kubectl get secret -n "${1%/*}" "${1#*/}" >/dev/null 2>&1; then
    return 0
  fi
  id=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \\n')
  secret=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\\n')
  digest=$(printf %s "$secret" | sha256sum | cut -d' ' -f1)
  for place in "$@"; do
    # By a pipe, since a command line is every user's to read.
    $kubectl create -f - <<END
apiVersion: v1
kind: Secret
type: Opaque
metadata:
  name: ${place#*/}
  namespace: ${place%/*}
  labels:
    pilotlight.dev/release: RELEASE
stringData:
  key: pl-$id-$secret
  keys.json: |
    {"version": 1, "keys": [{"id": "$id", "name": "gateway", "role": "user",
     "digest": "$digest", "created_s": 0}]}
END
  done
}
"""
