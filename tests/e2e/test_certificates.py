"""Callers with client certificates, on listeners that speak TLS: whom a certificate names, what a token bound to one demands, and
what a certificate is worth that nobody verified."""

from __future__ import annotations

import copy
import ssl
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import people
import pytest
from certificates import Certificate, client, listener
from gateway import Gateway, Services, body, expect_problem, expect_refused, expect_seen, expect_served, plugin
from wire import Http1

UI, BATCH = "spiffe://example.org/ns/search/sa/ui", "spiffe://example.org/batch"
PEERS = {
    "verified_routes": ["verified"],
    "peers": [
        {"spiffe": {"trust_domain": "example.org", "paths": [{"path": "/ns/search/*", "groups": ["grp-search"]}, {"path": "/batch"}]}},
        {"dns": {"issuer": "https://ca.example", "names": {"ui.search.internal": ["grp-bi"]}}},
    ],
}
BARE = ['Bearer realm="rerank-guard"', 'DPoP realm="rerank-guard", algs="ES256 EdDSA"']
INVALID = ['Bearer realm="rerank-guard", error="invalid_token"']


def over_tls(socket):
    """A listener that speaks TLS, and a route before the others that matches only where Envoy has verified the certificate."""
    def shape(config):
        chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
        chain["transport_socket"] = socket
        routes = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
        at = next(at for at, route in enumerate(routes) if route["match"].get("prefix") == "/cohere/")
        verified = copy.deepcopy(routes[at])
        verified["name"] = "verified"
        verified["match"]["tls_context"] = {"presented": True, "validated": True}
        routes.insert(at, verified)
    return shape


@pytest.fixture(scope="module")
def world():
    """Everybody's certificates."""
    with tempfile.TemporaryDirectory(prefix="rerank-guard-tls-") as directory:
        place = Path(directory)
        authority = Certificate(place, "authority", is_authority=True)
        stranger = Certificate(place, "stranger", is_authority=True)

        def one(name, *, by=authority, **names):
            return Certificate(place, name, issuer=by, **names)

        yield SimpleNamespace(
            authority=authority, gateway=one("gateway", dns=["gateway.example"]),
            ui=one("ui", uris=[UI]), batch=one("batch", uris=[BATCH]), name=one("name", dns=["UI.search.internal"]),
            unlisted=one("unlisted", uris=["spiffe://example.org/ns/other/sa/ui"]), elsewhere=one("elsewhere", uris=["spiffe://eve.example/batch"]),
            malformed=one("malformed", uris=["spiffe://example.org/ns/search/../batch"]), other_name=one("other_name", dns=["eve.example"]),
            nameless=one("nameless"), by_stranger=one("by_stranger", by=stranger, uris=[UI]), own=Certificate(place, "own", uris=[UI]),
            expired=one("expired", uris=[UI], expired=True))


def gateway_of(world, services, own=None, **validation):
    """A gateway whose listener judges client certificates so, and that is called with `own` unless a call says otherwise."""
    configuration = plugin(callers={**plugin()["callers"], **PEERS})
    return Gateway(services, configuration, shape=over_tls(listener(world.gateway, **validation)), tls=client(world.authority, own))


@pytest.fixture(scope="module")
def verifying_gateway(world):
    """Its listener verifies client certificates, and takes clients without one."""
    services = Services()
    with gateway_of(world, services, trusted_ca={"filename": str(world.authority.path)}) as gateway:
        yield gateway
    services.close()


@pytest.fixture
def verifying(verifying_gateway):
    yield from verifying_gateway.watched()


@pytest.fixture(scope="module", params=["with an authority", "without an authority"])
def believing_gateway(world, request):
    """Its listener takes any certificate."""
    authority = {"trusted_ca": {"filename": str(world.authority.path)}} if request.param == "with an authority" else {}
    services = Services()
    with gateway_of(world, services, world.nameless, trust_chain_verification="ACCEPT_UNTRUSTED", **authority) as gateway:
        gateway.knows_authority = bool(authority)
        yield gateway
    services.close()


@pytest.fixture
def believing(believing_gateway):
    yield from believing_gateway.watched()


@pytest.mark.parametrize("who, issuer, subject, groups", [
    ("ui", "spiffe://example.org", UI, ["grp-search"]), ("name", "https://ca.example", "ui.search.internal", ["grp-bi"]),
])
def test_a_listed_workload_is_a_caller_without_a_token(verifying, world, who, issuer, subject, groups):
    own = getattr(world, who)
    reply = verifying.call(token=None, tls=client(world.authority, own))
    actor = expect_served(reply)["actor"]
    assert (actor["iss"], actor["sub"], actor["groups"], actor["proof"]) == (issuer, subject, groups, "certificate")
    seen = expect_seen(verifying.services.upstreams["cohere"], "cohere", "/v2/rerank", body())
    assert seen.all("x-forwarded-client-cert") == []


def test_a_listed_workload_without_groups_is_known_and_not_allowed(verifying, world):
    reply = verifying.call(token=None, tls=client(world.authority, world.batch))
    expect_refused(verifying, reply, 403, "forbidden")
    assert reply.record["actor"]["sub"] == BATCH


@pytest.mark.parametrize("who, reason", [
    ("unlisted", "unknown-peer"), ("elsewhere", "unknown-peer"), ("other_name", "unknown-peer"), ("nameless", "unknown-peer"),
    ("malformed", "peer-malformed"),
])
def test_a_certificate_that_names_nobody_is_refused(verifying, world, who, reason):
    reply = verifying.call(token=None, tls=client(world.authority, getattr(world, who)))
    expect_refused(verifying, reply, 401, "unauthenticated", reason)
    assert reply.all("www-authenticate") == BARE, "no token was sent, so none is at fault"


def test_no_certificate_and_no_token_is_refused(verifying):
    reply = verifying.call(token=None)
    expect_refused(verifying, reply, 401, "unauthenticated", "no-token")
    assert reply.all("www-authenticate") == BARE


@pytest.mark.parametrize("who", ["by_stranger", "own", "expired"])
def test_a_certificate_that_the_listener_refuses_never_comes_to_the_filter(verifying, world, who):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with Http1(verifying.port, client(world.authority, getattr(world, who))) as connection:
            connection.send(verifying.request(token=None))
            response = connection.response()
            assert response.status == 0
            raise ConnectionResetError
    assert verifying.sent() == 0


def test_headers_name_no_workload(verifying):
    reply = verifying.call(token=None, headers=[
        ("x-forwarded-client-cert", f'By=spiffe://example.org/gw;Hash={"0" * 64};URI={UI}'), ("x-client-cert", UI), ("ssl-client-verify", "SUCCESS"),
    ])
    expect_refused(verifying, reply, 401, "unauthenticated", "no-token")


def test_a_token_is_its_own_caller_whatever_the_certificate_says(verifying, world):
    as_batch = client(world.authority, world.batch)
    assert expect_served(verifying.call(tls=as_batch))["actor"]["sub"] == "ann"
    sent = verifying.sent()
    now = int(time.time())
    reply = verifying.call(token=people.token(iat=now - 900, exp=now - 300), tls=client(world.authority, world.ui))
    expect_problem(reply, 401, "unauthenticated", "expired")
    assert verifying.sent() == sent, "a bad token is refused, also from a good workload"


def test_a_token_bound_to_a_certificate_is_good_only_with_it(verifying, world):
    token = people.token(cnf={"x5t#S256": world.batch.thumbprint})
    right, other = client(world.authority, world.batch), client(world.authority, world.ui)
    # Twice: the second time the token comes from the cache, and its sender must be looked at all the same.
    for turn in range(2):
        reply = verifying.call(token=token, tls=other)
        expect_problem(reply, 401, "unauthenticated", "wrong-holder")
        assert reply.all("www-authenticate") == INVALID
        reply = verifying.call(token=token)
        expect_problem(reply, 401, "unauthenticated", "certificate-missing")
        assert reply.all("www-authenticate") == INVALID
        assert verifying.sent() == turn
        actor = expect_served(verifying.call(token=token, tls=right))["actor"]
        assert (actor["sub"], actor["proof"]) == ("ann", "certificate-bound")


@pytest.mark.parametrize("cnf", [
    {"x5t#S256": "A" * 43}, {"x5t#S256": ""}, {"x5t#S256": 7}, {"x5t": "A" * 27}, {}, [], "x", {"x5t#S256": "A" * 43, "jkt": "A" * 43},
], ids=["another", "empty", "number", "SHA-1", "nothing", "list", "text", "two"])
def test_a_binding_that_is_another_or_unknown_is_refused_from_a_good_workload(verifying, world, cnf):
    reply = verifying.call(token=people.token(cnf=cnf), tls=client(world.authority, world.ui))
    expect_refused(verifying, reply, 401, "unauthenticated")


@pytest.mark.parametrize("who", ["own", "by_stranger"])
def test_a_certificate_that_nobody_verified_stands_for_nobody(believing, world, who):
    reply = believing.call(token=None, tls=client(world.authority, getattr(world, who)))
    expect_refused(believing, reply, 401, "unauthenticated", "unproved-peer")
    assert reply.all("www-authenticate") == BARE


def test_a_certificate_of_the_authority_counts_where_an_authority_is_known(believing, world):
    reply = believing.call(token=None, tls=client(world.authority, world.ui))
    if believing.knows_authority:
        assert expect_served(reply)["actor"]["sub"] == UI
    else:
        expect_refused(believing, reply, 401, "unauthenticated", "unproved-peer")


def test_a_bound_token_needs_the_key_and_no_authority(believing, world):
    """RFC 8705, section 2.2: certificates may be self-signed; what counts is who holds the key."""
    token = people.token(cnf={"x5t#S256": world.own.thumbprint})
    assert expect_served(believing.call(token=token, tls=client(world.authority, world.own)))["actor"]["proof"] == "certificate-bound"
    expect_problem(believing.call(token=token, tls=client(world.authority, world.by_stranger)), 401, "unauthenticated", "wrong-holder")
    assert believing.sent() == 1
