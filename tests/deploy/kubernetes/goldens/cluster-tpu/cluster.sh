#!/bin/sh
# Makes the cluster and its node pools where they aren't yet. Run it again after an interruption.
set -eu

PROJECT=${PROJECT:-my-project}
ZONE=us-central1-a
CLUSTER=tpu

if ! gcloud container clusters describe "$CLUSTER" --zone="$ZONE" --project="$PROJECT" >/dev/null 2>&1; then
  gcloud container clusters create "$CLUSTER" \
    --release-channel=regular \
    --machine-type=e2-standard-2 \
    --num-nodes=1 \
    --enable-autoscaling \
    --min-nodes=1 \
    --max-nodes=2 \
    --disk-size=50 \
    --disk-type=pd-balanced \
    --workload-pool="$PROJECT.svc.id.goog" \
    --enable-image-streaming \
    --enable-dataplane-v2 \
    --enable-ip-alias \
    --enable-shielded-nodes \
    --enable-managed-prometheus \
    --no-enable-basic-auth \
    --enable-master-authorized-networks \
    --master-authorized-networks=203.0.113.0/24 \
    --zone="$ZONE" --project="$PROJECT"
fi

if ! gcloud container node-pools describe engines --cluster="$CLUSTER" --zone="$ZONE" --project="$PROJECT" >/dev/null 2>&1; then
  gcloud container node-pools create engines --cluster="$CLUSTER" \
    --machine-type=ct5lp-hightpu-8t \
    --num-nodes=0 \
    --enable-autoscaling \
    --min-nodes=0 \
    --max-nodes=2 \
    --disk-size=200 \
    --disk-type=pd-balanced \
    --spot \
    --workload-metadata=GKE_METADATA \
    --enable-image-streaming \
    --zone="$ZONE" --project="$PROJECT"
fi

gcloud container clusters get-credentials "$CLUSTER" --zone="$ZONE" --project="$PROJECT"
