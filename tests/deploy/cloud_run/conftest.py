from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.cloud_run.admin import Admin, serving
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.connection import Connection


@pytest.fixture
def admin() -> Admin:
    return Admin()


@pytest.fixture
def cloud_run(admin: Admin) -> Iterator[CloudRun]:
    """The target, with Google's own clients, talking to `admin`."""
    from google.cloud import run_v2
    from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
    from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport

    with serving(admin) as channel:
        connection = Connection(
            project="acme",
            services=run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
            revisions=run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
            session=None,
            poll_s=0.001,
        )
        yield CloudRun(connect=lambda project: connection)
