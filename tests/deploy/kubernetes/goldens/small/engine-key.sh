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
  id=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
  secret=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
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
    pilotlight.dev/release: chat
stringData:
  key: pl-$id-$secret
  keys.json: |
    {"version": 1, "keys": [{"id": "$id", "name": "gateway", "role": "user",
     "digest": "$digest", "created_s": 0}]}
END
  done
}

make_key chat/chat-engine-key
