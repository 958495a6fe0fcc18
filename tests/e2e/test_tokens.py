"""Who is calling? Whatever proves nobody is refused with 401, and no upstream sees anything."""

import time

import people
import pytest
from gateway import COHERE, body, expect_problem, expect_refused, expect_served, plugin
from people import RSA, claims, token, unsigned
from wire import Http1

NOW = int(time.time())


def hmac_confusion():
    """Signed with HMAC under the RSA public key's text."""
    import hashlib
    import hmac
    import json
    header, payload, _ = unsigned({"alg": "HS256", "kid": "rsa-1"}, claims()).split(".")
    digest = hmac.new(json.dumps(RSA.jwk).encode(), f"{header}.{payload}".encode(), hashlib.sha256).digest()
    from base64 import urlsafe_b64encode
    return f"{header}.{payload}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def altered():
    header, payload, signature = token().split(".")
    other = unsigned({"alg": "RS256"}, claims(sub="root")).split(".")[1]
    return f"{header}.{other}.{signature}"


BAD = {
    "expired": (lambda: token(iat=NOW - 900, exp=NOW - 300), "expired"),
    "for another audience": (lambda: token(aud="another"), "wrong-audience"),
    "for no audience": (lambda: token(aud=None), "audience-missing"),
    "of another issuer": (lambda: token(iss="https://other.example"), "unknown-issuer"),
    "of an issuer with a slash more": (lambda: token(iss="https://idp.example/"), "unknown-issuer"),
    "of no issuer": (lambda: token(iss=None), "issuer-missing"),
    "with alg none": (lambda: unsigned({"alg": "none", "typ": "JWT"}, claims(), "AA"), "algorithm-not-allowed"),
    "with alg none and no signature": (lambda: unsigned({"alg": "none", "typ": "JWT"}, claims()), "not-three-parts"),
    "with alg HS256 under the public key": (hmac_confusion, "algorithm-not-allowed"),
    "without expiry": (lambda: token(exp=None), "expiry-missing"),
    "without a subject": (lambda: token(sub=None), "subject-missing"),
    "not valid yet": (lambda: token(nbf=NOW + 3000, exp=NOW + 3600), "not-yet-valid"),
    "issued in the future": (lambda: token(iat=NOW + 3000, exp=NOW + 3600), "issued-in-future"),
    "valid for too long": (lambda: token(exp=NOW + 40 * 86400), "lifetime-too-long"),
    "of a stranger's key": (lambda: token(key=people.STRANGER), "bad-signature"),
    "with altered claims": (altered, "bad-signature"),
    "with a critical extension": (lambda: token(header={"crit": ["b64"], "b64": True}), "header-forbidden"),
    "with a key of its own": (lambda: token(header={"jwk": people.STRANGER.jwk}), "header-forbidden"),
    "for another purpose": (lambda: token(header={"typ": "logout+jwt"}), "wrong-type"),
    "bound in a way that nobody can check": (lambda: token(cnf={"kid": "x"}), "bound-token"),
    "bound to a key that its sender does not show": (lambda: token(cnf={"jkt": "A" * 43}), "dpop-sent-as-bearer"),
    "bound to a certificate that its sender does not show": (lambda: token(cnf={"x5t#S256": "A" * 43}), "certificate-missing"),
    "bound to no key at all": (lambda: token(cnf={"jkt": "x"}), "claim-malformed"),
    "with two parts": (lambda: "aaaa.bbbb", "not-three-parts"),
    "that is none": (lambda: "not a token", None),
    "that is empty": (lambda: "", None),
}


@pytest.mark.parametrize("what", BAD)
def test_a_token_is_refused_that_is(gateway, what):
    make, reason = BAD[what]
    reply = gateway.call(token=None, headers=[("authorization", f"Bearer {make()}")])
    expect_refused(gateway, reply, 401, "unauthenticated", reason)
    if what != "that is empty" and reason != "dpop-sent-as-bearer":
        assert reply.one("www-authenticate") == 'Bearer realm="rerank-guard", error="invalid_token"'
    assert reply.record["actor"] is None and set(reply.record["call"]) == {"method", "route", "authority", "body_digest"}, "nothing was read"


def test_a_refused_token_does_not_spoil_a_good_one(gateway):
    good = token()
    for _ in range(2):
        assert gateway.call(token=altered()).status == 401
        expect_served(gateway.call(token=good))


@pytest.mark.parametrize("header", [
    [], [("authorization", "")], [("authorization", "Bearer")], [("authorization", "Basic YW5uOnB3")], [("authorization", "Token x")],
    [("x-api-key", "mine")], [("cookie", "token=mine")],
], ids=["nothing", "empty", "scheme only", "basic", "another scheme", "api key", "cookie"])
def test_no_token_is_refused(gateway, header):
    reply = gateway.call(token=None, headers=header)
    expect_refused(gateway, reply, 401, "unauthenticated")
    # RFC 6750, section 3.1: no error where no token was sent. RFC 9449, section 7.1: the algorithms of proofs.
    assert reply.all("www-authenticate") == ['Bearer realm="rerank-guard"', 'DPoP realm="rerank-guard", algs="ES256 EdDSA"']


def test_two_authorization_headers_are_refused_even_if_both_are_good(gateway):
    good = token()
    for one, other in [(good, good), (good, "x"), ("x", good)]:
        reply = gateway.call(token=None, headers=[("authorization", f"Bearer {one}"), ("Authorization", f"Bearer {other}")])
        expect_refused(gateway, reply, 401, "unauthenticated")


def test_two_tokens_in_one_header_are_refused(gateway):
    good = token()
    for value in (f"Bearer {good}, Bearer {good}", f"Bearer {good} {good}", f"Bearer {good},"):
        expect_refused(gateway, gateway.call(token=None, headers=[("authorization", value)]), 401, "unauthenticated")


def test_a_token_beyond_all_size_is_refused(gateway):
    expect_refused(gateway, gateway.call(token=token(padding="x" * 20000)), 401, "unauthenticated")


def test_a_byte_that_is_no_utf8_in_the_token_is_refused_and_the_module_lives(gateway):
    for value in (b"Bearer \xa1", b"\xa1", b"Bearer " + token().encode() + b"\xa1"):
        reply = gateway.call(token=None, headers=[("authorization", value)])
        expect_refused(gateway, reply, 401, "unauthenticated")
    expect_served(gateway.call())


def test_a_byte_that_is_no_utf8_in_another_header_harms_nobody(gateway, cohere):
    expect_served(gateway.call(headers=[("x-note", b"caf\xa1"), ("accept-encoding", b"\xa1"), ("prefer", b"\xa1")]))
    assert cohere.seen[0].all("x-note") == ["caf\xa1"]
    reply = gateway.call("/by-header/v1/rerank", headers=[("x-dataset", b"web-\xa1")])
    assert reply.status == 422 and reply.record["result"]["outcome"] == "malformed-call"
    reply = gateway.call(headers=[("content-type", b"application/json\xa1")])
    assert reply.status == 415 and reply.record["result"]["outcome"] == "uninspectable"
    expect_served(gateway.call())


def test_a_request_id_cannot_forge_a_line_of_the_log(gateway):
    forged = '"}}\\n{"record":[{"v":1,"decision":{"effect":"allow"}}],"envoy":{"x":"'
    reply = gateway.call(headers=[("x-request-id", forged)])
    expect_served(reply)
    assert "effect\":\"allow\"}}]" not in str(reply.line["envoy"])


def test_a_body_is_not_waited_for_where_the_token_is_refused(gateway):
    with Http1(gateway.port) as client:
        whole = gateway.request(COHERE, body=body(), token=None)
        client.send(whole[:-10])
        assert client.response().status == 401
    assert gateway.next_line()["record"][0]["result"]["reason"] == "no-token"
    assert gateway.sent() == 0


def test_a_token_may_stand_where_sdks_put_their_api_key_and_in_one_place_only(changeable):
    places = [{"header": "authorization", "prefix": "Bearer "}, {"header": "Api-Key"}, {"header": "x-auth", "prefix": "Token "}]
    gateway = changeable.change(plugin(callers={**plugin()["callers"], "places": places}))
    good = token()
    for name, value in [("api-key", good), ("API-KEY", good), ("x-auth", f"Token {good}"), ("x-auth", f"token {good}")]:
        expect_served(gateway.call(token=None, headers=[(name, value)]))
        seen = gateway.services.upstreams["cohere"].seen[-1]
        assert "eyJ" not in str(seen.headers) and seen.all("api-key") == seen.all("x-auth") == []
    sent = gateway.sent()
    for headers in [
        [("api-key", good), ("x-auth", f"Token {good}")], [("api-key", good), ("api-key", good)], [("authorization", f"Bearer {good}"), ("api-key", "x")],
        [("api-key", f"Bearer {good}")], [("x-auth", good)], [("x-api-key", good)], [("api-key", "")],
    ]:
        expect_problem(gateway.call(token=None, headers=headers), 401, "unauthenticated")
    assert gateway.sent() == sent
