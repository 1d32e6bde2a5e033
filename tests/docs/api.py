"""The gateway's routes as `build_routes` lists them, without a house around them."""

from __future__ import annotations

from typing import Any

from pilotlight.gateway.adapters import AdapterEndpoints
from pilotlight.gateway.admin import AdminEndpoints
from pilotlight.gateway.listing import ListingEndpoints
from pilotlight.gateway.routes import InferenceEndpoints, build_routes
from pilotlight.gateway.status import StatusEndpoints

_absent: Any = None  # a route table asks nothing of what its handlers will use

ROUTES = build_routes(
    InferenceEndpoints(_absent, _absent, _absent, _absent, 0),
    ListingEndpoints(_absent, _absent, _absent, _absent, _absent),
    StatusEndpoints(_absent, _absent),
    AdminEndpoints(_absent, _absent, _absent, _absent, lambda: 0.0),
    AdapterEndpoints(_absent, _absent),
)
