"""Dated facts: models, hardware, quantizations, platforms and prices, each with its source."""

from __future__ import annotations

from pilotlight.catalog.catalog import Catalog as Catalog
from pilotlight.catalog.catalog import files_of as files_of
from pilotlight.catalog.catalog import load as load
