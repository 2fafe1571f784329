"""Certificates for tests of the port."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from probe.lab.ca import Pki


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki(datetime.now(UTC))
