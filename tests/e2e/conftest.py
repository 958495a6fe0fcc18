"""Gateways that tests share. One Envoy serves every test that needs no configuration of its own; the services around it forget
between tests what they saw and how they were told to behave."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import gateway as harness
import stack


def pytest_configure(config: pytest.Config) -> None:
    """What is skipped is told, each with one line."""
    if "s" not in config.option.reportchars:
        config.option.reportchars += "s"


@pytest.fixture(scope="session")
def standard_services() -> Iterator[harness.Services]:
    services = harness.Services()
    yield services
    services.close()


@pytest.fixture(scope="session")
def standard(standard_services: harness.Services) -> Iterator[harness.Gateway]:
    with harness.Gateway(standard_services) as gateway:
        yield gateway


@pytest.fixture
def gateway(standard: harness.Gateway) -> Iterator[harness.Gateway]:
    """The shared gateway, with services that know nothing of earlier tests."""
    yield from standard.watched()


@pytest.fixture(scope="session")
def changeable_gateway() -> Iterator[harness.Changeable]:
    services = harness.Services()
    with harness.Changeable(services) as gateway:
        yield gateway
    services.close()


@pytest.fixture
def changeable(changeable_gateway: harness.Changeable) -> Iterator[harness.Changeable]:
    """A shared gateway that tests give configurations of their own, without a start for each."""
    yield from changeable_gateway.watched()


@pytest.fixture
def cohere(gateway: harness.Gateway) -> harness.Server:
    return gateway.services.upstreams["cohere"]


@pytest.fixture
def approver(gateway: harness.Gateway) -> harness.Server:
    return gateway.services.approver


@pytest.fixture
def services() -> Iterator[harness.Services]:
    """Services for a gateway of the test's own."""
    services = harness.Services()
    yield services
    services.close()


@pytest.fixture
def start(services: harness.Services) -> Iterator[Callable[..., harness.Gateway]]:
    """Starts a gateway of the test's own, before `services`."""
    started: list[harness.Gateway] = []

    def begin(*args: object, **options: object) -> harness.Gateway:
        one = harness.Gateway(services, *args, **options)  # type: ignore[arg-type]
        started.append(one)
        return one

    try:
        yield begin
        for one in started:
            assert one.leaks() == []
    finally:
        for one in started:
            one.close()


@pytest.fixture(scope="session", autouse=True)
def everything_is_there() -> None:
    """One clear line instead of a hundred failures, and no Envoy left behind by a run that is stopped."""
    stack.end_on_signals()
    try:
        stack.envoy_binary()
        stack.module()
    except stack.StackError as missing:
        pytest.exit(str(missing), returncode=2)
