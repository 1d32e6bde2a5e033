"""From nothing to a benchmark, and back: one script whose steps can be run apart."""

from __future__ import annotations

import shlex

from pilotlight.deploy.kubernetes.cluster.options import ClusterOptions

_RUN = """\
#!/bin/sh
# The whole way: a cluster, a server on it, its benchmark.
#   sh run.sh                  create, apply, bench
#   sh run.sh STEP [STEP]...   one or several of create, apply, bench, delete
# What is billed is billed until `sh run.sh delete`.
set -eu
cd "$(dirname "$0")"
PROJECT=${PROJECT:-@PROJECT@}
ZONE=@ZONE@
CLUSTER=@CLUSTER@
FILE=${FILE:-@FILE@}
PORT=${PORT:-18080}
CONTEXT="gke_${PROJECT}_${ZONE}_${CLUSTER}"
export PROJECT

deploy() {
  verb=$1
  shift
  pilotlight deploy "$verb" kubernetes -f "$FILE" --set "kubernetes.context=$CONTEXT" \\
    --set kubernetes.machine=@MACHINE@ "$@"
}

create() {
  sh cluster.sh
}

apply() {
  deploy apply
}

# The Service has an address in the cluster alone: a tunnel leads there, and is dug again when the
# pod at its end goes, as it does before each cold start.
bench() {
  of=app.kubernetes.io/name=pilotlight,app.kubernetes.io/component=gateway
  place=$(kubectl --context "$CONTEXT" get service -A -l "$of" \\
    -o jsonpath='{.items[0].metadata.namespace} {.items[0].metadata.name}')
  tunnel "${place% *}" "${place#* }" &
  digging=$!
  trap 'kill "$digging" 2>/dev/null' EXIT
  deploy bench --set "kubernetes.url=http://127.0.0.1:$PORT"
  kill "$digging"
}

tunnel() {
  trap 'kill "$leading"; exit' TERM
  while :; do
    kubectl --context "$CONTEXT" port-forward -n "$1" "service/$2" "$PORT:80" >/dev/null 2>&1 &
    leading=$!
    wait "$leading" || true
    sleep 1
  done
}

# The deployment first: its load balancers and disks would outlive the cluster.
delete() {
  deploy delete --yes || echo "the deployment couldn't be deleted; going on with its cluster" >&2
  gcloud container clusters delete "$CLUSTER" --zone="$ZONE" --project="$PROJECT" --quiet
}

if [ $# -eq 0 ]; then
  set -- create apply bench
fi
for step in "$@"; do
  case $step in
    create | apply | bench | delete) "$step" ;;
    *) echo "error: there is no step '$step'; one of create, apply, bench, delete" >&2; exit 2 ;;
  esac
done
"""


def run(options: ClusterOptions) -> str:
    project = options.project or "$(gcloud config get-value project)"
    told = {
        "PROJECT": project,
        "ZONE": options.zone,
        "CLUSTER": options.name,
        "FILE": shlex.quote(options.configuration),
        "MACHINE": options.machine,
    }
    text = _RUN
    for name, value in told.items():
        text = text.replace(f"@{name}@", value)
    return text
