"""Tokens bound to a key (RFC 9449), sent by a client library that makes its own proofs: accepted once each, and only for the request,
token, key and time they were made for."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import jwskate
import people
import pytest
import requests
from gateway import COHERE, ROUTES, body, expect_nothing_sent, expect_problem, expect_refused, expect_seen, expect_served, plugin
from requests_oauth2client import DPoPKey, DPoPToken
from test_workers import expect_keys_on_both
from wire import Http1, head_of

URI = f"http://gateway.example{COHERE}"
ALGS = 'algs="ES256 EdDSA"'
KEY = DPoPKey.generate("ES256")
OTHER = DPoPKey.generate("ES256")


def bound(holder=KEY, **changes):
    return people.token(cnf={"jkt": holder.dpop_jkt}, **changes)


def hash_of(token):
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def proof(token, key=KEY, *, signer=None, typ="dpop+jwt", header=None, **changes):
    """A proof by the library, of which a test may change anything."""
    claims = {"jti": uuid.uuid4().hex, "htm": "POST", "htu": URI, "iat": int(time.time()), "ath": hash_of(token), **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    headers = {"jwk": dict(key.public_jwk), **(header or {})}
    signer = signer or key.private_key
    return str(jwskate.SignedJwt.sign(claims, key=signer, alg=key.alg, typ=typ, extra_headers=headers))


def show(gateway, token, *proofs, scheme="DPoP", path=COHERE, **options):
    headers = [("authorization", f"{scheme} {token}"), *(("dpop", one) for one in proofs)]
    return gateway.call(path, token=None, headers=headers, **options)


def expect_dpop_refused(gateway, reply, reason, error="invalid_dpop_proof"):
    expect_refused(gateway, reply, 401, "unauthenticated", reason)
    assert reply.one("www-authenticate") == f'DPoP realm="rerank-guard", error="{error}", {ALGS}'


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_library_that_makes_its_own_proofs_is_served(gateway, alg):
    key = DPoPKey.generate(alg)
    # The library proves the address it calls, so the gateway is called by the name it has on this machine.
    auth = DPoPToken(access_token=bound(key), _dpop_key=key)
    for _ in range(2):
        answer = requests.post(f"http://127.0.0.1:{gateway.port}{COHERE}", json=body(), auth=auth, timeout=10)
        assert answer.status_code == 200, answer.text
        record = gateway.next_line()["record"][0]
        assert (record["actor"]["sub"], record["actor"]["proof"]) == ("ann", "dpop")
    for seen in gateway.services.upstreams["cohere"].seen:
        assert seen.all("dpop") == [] and "eyJ" not in str(seen.headers)


def test_the_upstream_sees_neither_token_nor_proof(gateway, cohere):
    token = bound()
    reply = show(gateway, token, proof(token))
    assert expect_served(reply)["actor"]["proof"] == "dpop"
    seen = expect_seen(cohere, "cohere", "/v2/rerank", body(), caller=token)
    assert seen.all("dpop") == []


def test_a_proof_is_good_once(gateway, cohere):
    token = bound()
    one = proof(token)
    expect_served(show(gateway, token, one))
    for _ in range(3):
        reply = show(gateway, token, one)
        expect_problem(reply, 401, "unauthenticated", "dpop-replayed")
        assert reply.one("www-authenticate") == f'DPoP realm="rerank-guard", error="invalid_dpop_proof", {ALGS}'
    same = people.remembered(proof(token, jti=json.loads(decoded(one))["jti"]))
    expect_problem(show(gateway, token, same), 401, "unauthenticated", "dpop-replayed")
    expect_served(show(gateway, token, proof(token)))
    assert len(cohere.seen) == 2


def decoded(token):
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_bound_token_is_no_bearer_token(gateway):
    token = bound()
    for proofs in [(), (proof(token),)]:
        expect_dpop_refused(gateway, show(gateway, token, *proofs, scheme="Bearer"), "dpop-sent-as-bearer", "invalid_token")


def test_a_bound_token_without_a_proof_is_refused(gateway):
    expect_dpop_refused(gateway, show(gateway, bound()), "dpop-missing")


def test_two_proofs_are_refused_even_if_both_are_good(gateway):
    token = bound()
    expect_dpop_refused(gateway, show(gateway, token, proof(token), proof(token)), "dpop-doubled")
    expect_dpop_refused(gateway, show(gateway, token, f"{proof(token)}, {proof(token)}"), "dpop-refused")


def test_a_bearer_token_is_no_bound_token(gateway):
    token = people.token()
    reply = show(gateway, token, proof(token))
    expect_refused(gateway, reply, 401, "unauthenticated", "not-bound")
    assert reply.one("www-authenticate") == 'Bearer realm="rerank-guard", error="invalid_token"'


def test_a_bearer_token_with_a_proof_beside_it_is_a_bearer_token_and_the_proof_stays_here(gateway, cohere):
    token = people.token()
    assert expect_served(show(gateway, token, proof(token), scheme="Bearer"))["actor"]["proof"] == "bearer"
    assert cohere.seen[0].all("dpop") == []


def test_a_stolen_token_is_worth_nothing_with_the_thiefs_key(gateway):
    token = bound()
    expect_dpop_refused(gateway, show(gateway, token, proof(token, OTHER)), "wrong-holder", "invalid_token")
    # The holder's key in the header, the thief's under the signature.
    expect_dpop_refused(gateway, show(gateway, token, proof(token, KEY, signer=OTHER.private_key)), "dpop-refused")


NOW = int(time.time())
BAD = {
    "for another method": {"htm": "GET"},
    "for another method's case": {"htm": "post"},
    "for no method": {"htm": None},
    "for another path": {"htu": "http://gateway.example/cohere/raw-docs/v2/rerank"},
    "for another host": {"htu": f"http://eve.example{COHERE}"},
    "for another scheme": {"htu": f"https://gateway.example{COHERE}"},
    "for another port": {"htu": f"http://gateway.example:8080{COHERE}"},
    "for a path only": {"htu": COHERE},
    "for no address": {"htu": None},
    "from before the window": {"iat": lambda: int(time.time()) - 120},
    "from after the window": {"iat": lambda: int(time.time()) + 120},
    "of no time": {"iat": None},
    "of a time that is text": {"iat": str(NOW)},
    "for another token": {"ath": hash_of("another")},
    "for no token": {"ath": None},
    "of no name": {"jti": None},
    "of an empty name": {"jti": ""},
}


@pytest.mark.parametrize("what", BAD)
def test_a_proof_is_refused_that_is(gateway, what):
    token = bound()
    changes = {name: value() if callable(value) else value for name, value in BAD[what].items()}
    expect_dpop_refused(gateway, show(gateway, token, proof(token, **changes)), "dpop-refused")


def test_a_proof_that_is_relayed_under_another_name_is_worth_nothing(changeable):
    """Whoever a proof was shown to passes it on, with a Host that fits it and headers that tell another scheme."""
    route = [{**one, "authorities": ["gateway.example", "evil.example"]} for one in ROUTES]
    gateway = changeable.change(plugin(routes=route))
    token = bound()
    for host, address, headers in [
        ("evil.example", "http://evil.example", []),
        ("evil.example", "http://gateway.example", []),
        ("gateway.example", "http://evil.example", []),
        ("gateway.example", "http://evil.example", [("x-forwarded-host", "evil.example"), ("x-original-host", "evil.example")]),
        ("gateway.example", "https://gateway.example", [("x-forwarded-proto", "https"), ("x-forwarded-ssl", "on")]),
        ("127.0.0.1:9", "http://gateway.example", []),
    ]:
        proved = proof(token, htu=address + COHERE)
        content = json.dumps(body()).encode()
        with Http1(gateway.port) as client:
            client.send(head_of(f"POST {COHERE} HTTP/1.1", [
                ("host", host), *headers, ("authorization", f"DPoP {token}"), ("dpop", proved), ("content-type", "application/json"),
                ("content-length", str(len(content)))]) + content)
            response = client.response()
        record = gateway.next_line()["record"][0]
        expected = (421, "wrong-authority") if host.startswith("127") else (401, "dpop-refused")
        assert (response.status, record["result"]["reason"]) == expected, (host, address)
    expect_nothing_sent(gateway)
    # A header that tells another scheme takes nothing from a proof for the right one.
    expect_served(show(gateway, token, proof(token)))


def test_without_origins_no_token_that_is_bound_to_a_key_is_accepted(changeable):
    routes = [{**one, "host": "api.example"} for one in ROUTES]
    gateway = changeable.change(plugin(origins=None, routes=routes, **{"pass": None}))
    token = bound()
    for scheme in ("DPoP", "Bearer"):
        reply = show(gateway, token, proof(token), scheme=scheme)
        expect_refused(gateway, reply, 401, "unauthenticated", "bound-token")
        assert reply.all("www-authenticate") == ['Bearer realm="rerank-guard", error="invalid_token"']
    assert gateway.call(token=None).all("www-authenticate") == ['Bearer realm="rerank-guard"']
    expect_served(gateway.call())


def test_a_proof_of_another_form_is_refused(gateway):
    token = bound()
    private = dict(KEY.private_key)
    good = proof(token)
    head, payload, signature = good.split(".")
    for one in [
        proof(token, typ="jwt"), proof(token, typ="at+jwt"), proof(token, header={"jwk": private}), proof(token, header={"crit": ["exp"]}),
        proof(token, header={"jwk": {"kty": "oct", "k": "AAAA"}}), proof(token, header={"jwk": dict(OTHER.public_jwk)}),
        people.unsigned({"typ": "dpop+jwt", "alg": "none", "jwk": dict(KEY.public_jwk)}, json.loads(decoded(good)), "AA"),
        people.unsigned({"typ": "dpop+jwt", "alg": "HS256", "jwk": dict(KEY.public_jwk)}, json.loads(decoded(good)), "AA"),
        proof(token, DPoPKey.generate("RS256")), f"{head}.{payload}.", f"{head}.{payload}", f"{good}=", "x", token, b"\xa1",
    ]:
        reply = show(gateway, token, one)
        expect_refused(gateway, reply, 401, "unauthenticated")
        assert reply.one("www-authenticate").startswith("DPoP ")
    expect_served(show(gateway, token, good))


def test_a_bad_token_with_a_good_proof_is_refused_with_a_challenge_for_proofs(gateway):
    for token, reason in [
        (bound(iat=NOW - 900, exp=NOW - 300), "expired"), (bound(aud="another"), "wrong-audience"), (bound(KEY, key=people.STRANGER), "bad-signature"),
    ]:
        expect_dpop_refused(gateway, show(gateway, token, proof(token)), reason, "invalid_token")


def test_bad_proofs_in_a_flood_stop_their_holder_only_where_the_module_checks_them(changeable):
    callers = {**plugin()["callers"], "bad_signatures": {"burst": 3, "forgive": "1h"}}
    gateway = changeable.change(plugin(callers=callers))
    token, bearer = bound(), people.token()
    expect_served(gateway.call(token=bearer))
    # The host proves those of ES256, at next to no cost.
    for _ in range(20):
        expect_problem(show(gateway, token, proof(token, signer=OTHER.private_key)), 401, "unauthenticated", "dpop-refused")
    expect_served(show(gateway, token, proof(token)))
    key, other = DPoPKey.generate("EdDSA"), DPoPKey.generate("EdDSA")
    dear = bound(key)
    for _ in range(3):
        expect_problem(show(gateway, dear, proof(dear, key, signer=other.private_key)), 401, "unauthenticated", "dpop-refused")
    expect_problem(show(gateway, dear, proof(dear, key, signer=other.private_key)), 503, "not-ready", "too-many-bad-signatures")
    expect_problem(show(gateway, dear, proof(dear, key)), 503, "not-ready", "too-many-bad-signatures")
    expect_served(gateway.call(token=bearer))
    expect_served(show(gateway, token, proof(token)))
    assert gateway.sent() == 4


def test_with_two_workers_a_proof_passes_exactly_once(services, start):
    """The memory of proofs is the process's: many clients show the same proof at once to both workers, again and again."""
    gateway = start(concurrency=2)
    expect_keys_on_both(gateway)
    services.fresh()
    token = bound()
    clients, rounds = 8, 12
    connections = [f"listener.127.0.0.1_0.worker_{worker}.downstream_cx_total" for worker in (0, 1)]
    for _ in range(rounds):
        call = gateway.request(COHERE, token=None, headers=[("authorization", f"DPoP {token}"), ("dpop", proof(token))])
        before = [gateway.envoy.stat(name) for name in connections]
        with ExitStack() as held, ThreadPoolExecutor(clients) as pool:
            opened = [held.enter_context(Http1(gateway.port)) for _ in range(clients)]

            def once(connection):
                connection.send(call)
                return connection.response().status

            assert sorted(pool.map(once, opened)) == [200] + [401] * (clients - 1)
        assert all(gateway.envoy.stat(name) > old for name, old in zip(connections, before)), "a worker had nothing to do"
        results = [gateway.next_line()["record"][0]["result"] for _ in range(clients)]
        assert sorted(result["reason"] for result in results) == ["dpop-replayed"] * (clients - 1) + ["ok"]
    assert len(services.upstreams["cohere"].seen) == rounds
