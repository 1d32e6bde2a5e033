"""Object storage by cloud: how each is opened, signed and reached without a login.

Credentials come from the environment, as obstore reads it:
https://developmentseed.org/obstore/latest/authentication/
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

VALID_FOR = timedelta(hours=1)
_RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_SAS = ("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN")


@dataclass(frozen=True, slots=True)
class Cloud:
    """One scheme. The container of its objects is a bucket, or what Azure calls one."""

    store_class: str
    credentials: tuple[str, ...]
    """Variables that hold a login, or say where one is; any of them is enough."""

    plain_url: Callable[[str, str], str]
    """Of a public object, by container and key."""

    hint: str

    def has_login(self, environ: Mapping[str, str]) -> bool:
        return any(environ.get(name) for name in self.credentials)

    def open(self, container: str, *, anonymous: bool) -> Any:
        """A store of obstore's. Raises its BaseError for a configuration it can't use."""
        return _open(self.store_class, container, skip_signature=anonymous)

    async def sign(self, store: Any, container: str, key: str) -> str:
        """The address of an object for whoever has it, until VALID_FOR is over."""
        import obstore

        if shared := _shared_access(os.environ) if self.store_class == "AzureStore" else None:
            return f"{self.plain_url(container, key)}?{shared.lstrip('?')}"
        signed: str = await obstore.sign_async(store, "GET", key, VALID_FOR)
        return signed


def _open(store_class: str, container: str, **settings: Any) -> Any:
    from obstore import store as stores

    # The endpoint is the administrator's word, and may be a server on this machine.
    options = {"allow_http": True, "connect_timeout": "10 seconds"}
    make = getattr(stores, store_class)
    return make(container, client_options=options, retry_config=_RETRY, **settings)


def _shared_access(environ: Mapping[str, str]) -> str | None:
    """A shared access signature is in itself what a signed address would add."""
    return next((environ[name] for name in _SAS if environ.get(name)), None)


def _without_query(store: Any, key: str) -> str:
    """obstore knows all the ways to write an endpoint, and tells them only by signing."""
    import obstore

    signed: str = obstore.sign(store, "GET", key, VALID_FOR)
    return signed.partition("?")[0]


def _s3_url(bucket: str, key: str) -> str:
    store = _open("S3Store", bucket, access_key_id="nobody", secret_access_key="nothing")
    return _without_query(store, key)


def _gs_url(bucket: str, key: str) -> str:
    return f"https://storage.googleapis.com/{bucket}/{quote(key)}"


def _az_url(container: str, key: str) -> str:
    return _without_query(_open("AzureStore", container, account_key="bm90aGluZw=="), key)


CLOUDS: Mapping[str, Cloud] = {
    "s3": Cloud(
        store_class="S3Store",
        credentials=(
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        plain_url=_s3_url,
        hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the bucket's AWS_REGION, and "
        "AWS_ENDPOINT_URL where it isn't Amazon's; "
        "`aws configure export-credentials --format env` prints a profile's",
    ),
    "gs": Cloud(
        store_class="GCSStore",
        credentials=(
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
        ),
        plain_url=_gs_url,
        hint="set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file that may "
        "read the bucket",
    ),
    "az": Cloud(
        store_class="AzureStore",
        credentials=(
            "AZURE_STORAGE_ACCOUNT_KEY",
            "AZURE_STORAGE_ACCESS_KEY",
            "AZURE_STORAGE_CLIENT_ID",
            "AZURE_CLIENT_ID",
            "AZURE_FEDERATED_TOKEN_FILE",
            *_SAS,
        ),
        plain_url=_az_url,
        hint="set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or "
        "AZURE_STORAGE_SAS_TOKEN unless the container is public",
    ),
}
