"""service.yaml, for `gcloud run services replace`: the service in Knative's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pilotlight.deploy.cloud_run.gpus import GPUS
from pilotlight.deploy.cloud_run.instance import (
    CONFIG_VARIABLE,
    KEYS_VARIABLE,
    config_text,
    keys_text,
    secret_of,
)
from pilotlight.deploy.cloud_run.placement import CloudRunRelease, billing_of
from pilotlight.deploy.cloud_run.service import (
    LABELS,
    LIVENESS,
    MOUNT_OPTIONS,
    STARTUP,
    VOLUME_OF_BUCKET,
    VOLUME_OF_DISK,
    Probe,
    launch_stage,
    limits,
    quantity,
    timeout_s,
)
from pilotlight.deploy.instance_file import CACHE_DIR, DATA_DIR, PORT


def service_yaml(release: CloudRunRelease) -> str:
    return "".join(f"{line}\n" for line in _lines(release))


def _lines(release: CloudRunRelease) -> Iterator[str]:
    yield "# Rendered by `pilotlight deploy render cloudrun`; README.md has the commands."
    yield "apiVersion: serving.knative.dev/v1"
    yield "kind: Service"
    yield "metadata:"
    yield f"  name: {_text(release.name)}"
    yield from _labels(2)
    yield "  annotations:"
    yield from _service_annotations(release)
    yield "spec:"
    yield "  template:"
    yield "    metadata:"
    yield from _labels(6)
    yield "      annotations:"
    yield from _revision_annotations(release)
    yield "    spec:"
    yield from _revision(release)
    yield "  # Requests go on to the old revision until the new one is ready."
    yield "  traffic:"
    yield "    - latestRevision: true"
    yield "      percent: 100"


def _labels(indent: int) -> Iterator[str]:
    yield " " * indent + "labels:"
    for key, value in LABELS.items():
        yield " " * indent + f"  {key}: {value}"


def _service_annotations(release: CloudRunRelease) -> Iterator[str]:
    yield f"    run.googleapis.com/ingress: {release.options.ingress}"
    yield f"    run.googleapis.com/launch-stage: {launch_stage(release)}"
    if not release.options.invoker_check:
        yield "    # Cloud Run lets everybody through; our API keys say who may ask."
        yield '    run.googleapis.com/invoker-iam-disabled: "true"'


def _revision_annotations(release: CloudRunRelease) -> Iterator[str]:
    options, scaling = release.options, release.scaling
    if scaling.minimum:
        yield "        # Standby: so many instances stay ready, at the idle rate."
    yield f'        autoscaling.knative.dev/minScale: "{scaling.minimum}"'
    yield f'        autoscaling.knative.dev/maxScale: "{scaling.maximum}"'
    yield f"        run.googleapis.com/execution-environment: {options.execution_environment}"
    throttled = billing_of(release) == "request"
    between = "no CPU between requests" if throttled else "paid and running from start to stop"
    yield f"        # Billed by {billing_of(release)}: {between}."
    yield f'        run.googleapis.com/cpu-throttling: "{_word(throttled)}"'
    yield "        # Loading the model is work for every core there is."
    yield f'        run.googleapis.com/startup-cpu-boost: "{_word(options.boost)}"'
    if release.size.gpu:
        redundant = options.zonal_redundancy
        yield "        # " + (
            "Other zones stand in for one that fails, at a higher rate."
            if redundant
            else "Best effort in one zone is what the cheaper rate buys."
        )
        off = _word(not redundant)
        yield f'        run.googleapis.com/gpu-zonal-redundancy-disabled: "{off}"'


def _revision(release: CloudRunRelease) -> Iterator[str]:
    yield "      # One instance answers so many at once, in one batch: what makes it cheap."
    yield f"      containerConcurrency: {release.scaling.concurrency}"
    yield f"      timeoutSeconds: {timeout_s(release)}"
    if release.options.service_account:
        yield f"      serviceAccountName: {_text(release.options.service_account)}"
    if gpu := GPUS.get(release.size.gpu or ""):
        yield "      nodeSelector:"
        yield f"        run.googleapis.com/accelerator: {gpu.accelerator}"
    yield "      containers:"
    yield from _container(release)
    yield from _volumes(release)


def _container(release: CloudRunRelease) -> Iterator[str]:
    yield f"        - image: {_text(release.image or '')}"
    yield "          ports:"
    yield f"            - containerPort: {PORT}"
    yield "          resources:"
    yield "            limits:"
    for key, value in limits(release).items():
        yield f"              {key}: {_text(value)}"
    yield "          # Traffic comes once every model is loaded and has made a token."
    yield from _probe("startupProbe", STARTUP)
    yield "          # The gateway's own life; an engine that dies is restarted by it."
    yield from _probe("livenessProbe", LIVENESS)
    yield "          env:"
    yield from _variables(release)
    mounts = list(_mounts(release))
    if mounts:
        yield "          volumeMounts:"
        yield from mounts


def _probe(kind: str, probe: Probe) -> Iterator[str]:
    yield f"          {kind}:"
    yield "            httpGet:"
    yield f"              path: {probe.path}"
    yield f"              port: {PORT}"
    yield f"            periodSeconds: {probe.period_s}"
    yield f"            timeoutSeconds: {probe.timeout_s}"
    yield f"            failureThreshold: {probe.tries}"


def _variables(release: CloudRunRelease) -> Iterator[str]:
    yield from _variable(CONFIG_VARIABLE, config_text(release))
    if secret := secret_of(release):
        yield f"            - name: {KEYS_VARIABLE}"
        yield "              valueFrom:"
        yield "                secretKeyRef:"
        yield f"                  name: {_text(secret[0])}"
        yield f"                  key: {_text(secret[1])}"
    elif (keys := keys_text(release)) is not None:
        yield "            # Hashes: nobody gets a key out of them."
        yield from _variable(KEYS_VARIABLE, keys)


def _variable(name: str, text: str) -> Iterator[str]:
    yield f"            - name: {name}"
    # A block keeps or drops the last line's end: the text's own is kept.
    yield f"              value: {'|' if text.endswith(chr(10)) else '|-'}"
    yield from (f"                {line}" for line in text.splitlines())


def _mounts(release: CloudRunRelease) -> Iterator[str]:
    if release.models == "mount":
        yield f"            - name: {VOLUME_OF_BUCKET}"
        yield f"              mountPath: {CACHE_DIR}"
    if release.options.ephemeral_disk:
        yield f"            - name: {VOLUME_OF_DISK}"
        yield f"              mountPath: {DATA_DIR}"


def _volumes(release: CloudRunRelease) -> Iterator[str]:
    mounted, disk = release.models == "mount", release.options.ephemeral_disk
    if mounted or disk:
        yield "      volumes:"
    if mounted:
        yield "        # The bucket with the models, as files; nothing is written to it."
        yield f"        - name: {VOLUME_OF_BUCKET}"
        yield "          csi:"
        yield "            driver: gcsfuse.run.googleapis.com"
        yield "            readOnly: true"
        yield "            volumeAttributes:"
        yield f"              bucketName: {_text(release.options.bucket or '')}"
        yield f"              mountOptions: {_text(','.join(MOUNT_OPTIONS))}"
    if disk:
        yield "        # Gone with its instance; without it, files would take memory."
        yield f"        - name: {VOLUME_OF_DISK}"
        yield "          emptyDir:"
        yield "            medium: Disk"
        yield f"            sizeLimit: {quantity(release.size.disk_bytes)}"


def _text(value: str) -> str:
    """A JSON string is a YAML one."""
    return json.dumps(value)


def _word(value: bool) -> str:
    return "true" if value else "false"
