"""The cluster by gcloud's commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pilotlight.deploy.kubernetes.cluster.options import ClusterOptions
from pilotlight.deploy.kubernetes.cluster.pools import Pool

_HEAD = """\
#!/bin/sh
# Makes the cluster and its node pools where they aren't yet. Run it again after an interruption.
set -eu
"""


def commands(options: ClusterOptions, pools: Sequence[Pool]) -> str:
    lines = [_HEAD, f"PROJECT=${{PROJECT:-{_project(options)}}}", f"ZONE={options.zone}"]
    lines += [f"CLUSTER={options.name}", ""]
    lines += [_unless('clusters describe "$CLUSTER"', list(_cluster(options, pools[0])))]
    lines += [_unless(_described(pool), list(_pool(pool))) for pool in pools[1:]]
    lines.append(
        'gcloud container clusters get-credentials "$CLUSTER" --zone="$ZONE" --project="$PROJECT"'
    )
    return "\n".join([*lines, ""])


def _project(options: ClusterOptions) -> str:
    return options.project or "$(gcloud config get-value project)"


def _described(pool: Pool) -> str:
    return f'node-pools describe {pool.name} --cluster="$CLUSTER"'


def _unless(there: str, words: Sequence[str]) -> str:
    place = '--zone="$ZONE" --project="$PROJECT"'
    joined = " \\\n    ".join(words)
    return (
        f"if ! gcloud container {there} {place} >/dev/null 2>&1; then\n"
        f"  gcloud container {joined} \\\n    {place}\n"
        "fi\n"
    )


def _cluster(options: ClusterOptions, first: Pool) -> Iterator[str]:
    yield 'clusters create "$CLUSTER"'
    yield f"--release-channel={options.channel}"
    yield from _nodes(first)
    # Pods have identities of their own; nodes' keys stay out of their reach.
    yield '--workload-pool="$PROJECT.svc.id.goog"'
    # A start reads what it needs of an image, not all of it.
    yield "--enable-image-streaming"
    # NetworkPolicies are enforced by the data plane alone.
    yield "--enable-dataplane-v2"
    yield "--enable-ip-alias"
    yield "--enable-shielded-nodes"
    yield "--enable-managed-prometheus"
    yield "--no-enable-basic-auth"
    if options.authorized:
        yield "--enable-master-authorized-networks"
        yield f"--master-authorized-networks={shlex.quote(','.join(options.authorized))}"


def _pool(pool: Pool) -> Iterator[str]:
    yield f'node-pools create {pool.name} --cluster="$CLUSTER"'
    yield from _nodes(pool)
    if pool.accelerator:
        yield (
            f"--accelerator=type={pool.accelerator},count={pool.accelerators},"
            "gpu-driver-version=default"
        )
    if pool.spot:
        yield "--spot"
    yield "--workload-metadata=GKE_METADATA"
    yield "--enable-image-streaming"


def _nodes(pool: Pool) -> Iterator[str]:
    yield f"--machine-type={pool.machine}"
    yield f"--num-nodes={pool.least}"
    yield "--enable-autoscaling"
    yield f"--min-nodes={pool.least}"
    yield f"--max-nodes={pool.most}"
    yield f"--disk-size={pool.disk_gib}"
    yield f"--disk-type={pool.disk_type}"
