"""The identity provider's keys: until there are any, nobody is let in; whatever happens to it, good keys stay and bad ones never come."""

import threading

import people
import pytest
from gateway import COHERE, expect_nothing_sent, expect_problem, expect_refused, expect_served, plugin
from wire import Answer, Server, answer_json

GOOD = people.jwks(people.RSA, people.EC)


def until_served(gateway):
    """Calls until a call is served; every call before that is a 503 of which no upstream saw anything."""
    while True:
        reply = gateway.call()
        if reply.status == 200:
            expect_served(reply)
            return
        expect_problem(reply, 503, "not-ready", "no-keys-yet")


def test_down_at_the_start_means_503_and_then_service_without_a_restart(services, start):
    services.idp.close(keep_port=True)
    gateway = start(ready=False)
    expect_refused(gateway, gateway.call(), 503, "not-ready", "no-keys-yet")
    services.idp.open()
    until_served(gateway)
    assert gateway.sent() == 1


def test_slow_at_the_start_means_503_at_once_and_then_service(services, start):
    hold = threading.Event()
    services.idp.always(lambda _: answer_json(GOOD, hold=hold))
    gateway = start(ready=False)
    services.idp.wait()
    expect_refused(gateway, gateway.call(), 503, "not-ready", "no-keys-yet")
    hold.set()
    until_served(gateway)


RUBBISH = {
    "HTML": Answer(headers=[("content-type", "text/html")], body=b"<html>keys</html>"),
    "an empty body": Answer(body=b""),
    "no keys": answer_json({"keys": []}),
    "another document": answer_json({"hello": 1}),
    "JSON that is cut off": answer_json(b'{"keys":[{"kty":"RSA"'),
    "duplicate members": answer_json(b'{"keys":[],"keys":[]}'),
    "a redirect": Answer(status=302, headers=[("location", "http://127.0.0.1/jwks.json")]),
    "good keys under a status of 500": answer_json(GOOD, 500),
    "symmetric keys": answer_json({"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "alg": "HS256", "kid": "rsa-1"}]}),
    "a symmetric key beside good ones": answer_json({"keys": [*GOOD["keys"], {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "x"}]}),
    "a connection that is reset": Answer(reset=True),
    "a body that is cut off": answer_json(GOOD, length=100000, cut=200),
}


def test_rubbish_at_the_start_means_503_and_then_service(services, start):
    services.idp.always(lambda _: RUBBISH["HTML"])
    gateway = start(ready=False)
    services.idp.wait()
    expect_refused(gateway, gateway.call(), 503, "not-ready", "no-keys-yet")
    services.idp.always(lambda _: answer_json(GOOD))
    until_served(gateway)


@pytest.mark.parametrize("kind", RUBBISH)
def test_no_key_comes_from(services, start, kind):
    services.idp.always(lambda _: RUBBISH[kind])
    gateway = start(ready=False)
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.idp.upstream_rq_total") >= 1, "fetch of keys")
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.idp.upstream_rq_active") == 0, "end of the fetch")
    expect_refused(gateway, gateway.call(), 503, "not-ready", "no-keys-yet")


def test_one_key_that_cannot_be_used_does_not_spoil_the_set(services, start):
    odd = [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"}, {"kty": "EC", "crv": "P-521", "kid": "curve"}, {"kty": "XYZ"}]
    services.idp.always(lambda _: answer_json({"keys": [*odd, people.RSA.jwk]}))
    with_keys = start()
    expect_served(with_keys.call())


def test_an_unknown_kid_is_refused_and_asks_for_keys_at_a_bounded_rate(services, start):
    gateway = start()
    before = gateway.envoy.stat("cluster.idp.upstream_rq_total")
    strangers = [people.Key(f"unknown-{number}", "ES256") for number in range(12)]
    for key in strangers:
        expect_refused(gateway, gateway.call(token=people.token(key=key)), 401, "unauthenticated", "unknown-key")
    for number in range(8):
        token = people.token(header={"kid": f"made-up-{number}"})
        expect_refused(gateway, gateway.call(token=token), 401, "unauthenticated", "unknown-key")
    asked = gateway.envoy.stat("cluster.idp.upstream_rq_total") - before
    assert asked <= 2, f"{asked} fetches for 20 tokens"
    expect_served(gateway.call())


def test_a_new_key_is_taken_up_because_a_token_asks_for_it(services, start):
    gateway = start()
    new = people.Key("new-1", "ES256")
    services.idp.always(lambda _: answer_json(people.jwks(people.RSA, new)))
    token = people.token(key=new)
    while (reply := gateway.call(token=token)).status != 200:
        expect_problem(reply, 401, "unauthenticated", "unknown-key")
    expect_served(reply)
    expect_served(gateway.call())


def test_good_keys_stay_while_the_provider_answers_rubbish(services, start):
    gateway = start()
    before = gateway.envoy.stat("cluster.idp.upstream_rq_total")
    services.idp.always(lambda _: answer_json({"keys": []}))
    assert gateway.call(token=people.token(header={"kid": "made-up"})).status == 401
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.idp.upstream_rq_total") > before, "refresh of the keys")
    gateway.envoy.wait(lambda: gateway.envoy.stat("cluster.idp.upstream_rq_active") == 0, "end of the refresh")
    expect_served(gateway.call())


def test_the_provider_sees_no_token(services, start):
    start()
    seen = services.idp.wait()
    assert (seen.method, seen.target) == ("GET", "/jwks.json")
    assert seen.all("authorization") == [] and seen.one("host") == "idp.example"


def test_inline_keys_need_no_provider(services, start):
    services.idp.close()
    configuration = plugin()
    configuration["callers"]["issuers"][0]["keys"] = {"inline": GOOD}
    gateway = start(configuration)
    expect_served(gateway.call())
    expect_served(gateway.call(token=people.token(key=people.EC)))
    reply = gateway.call(token=people.token(key=people.STRANGER))
    expect_problem(reply, 401, "unauthenticated", "bad-signature")
    assert gateway.call(token=people.token(header={"kid": "made-up"})).status == 401


def test_a_cluster_that_does_not_exist_means_503(services, start):
    configuration = plugin()
    configuration["callers"]["issuers"][0]["keys"]["jwks"]["cluster"] = "nowhere"
    gateway = start(configuration, ready=False)
    for _ in range(3):
        expect_refused(gateway, gateway.call(COHERE), 503, "not-ready", "no-keys-yet")
    expect_nothing_sent(gateway)


def test_each_issuer_has_its_own_keys(services, start):
    other = people.Key("rsa-1")
    second = Server("the second provider", lambda _: answer_json(people.jwks(other)))
    try:
        services.upstreams["jina"].close()
        services.upstreams["jina"] = second  # its cluster serves the second issuer's keys
        configuration = plugin()
        configuration["callers"]["issuers"].append({
            "issuer": "https://second.example", "audiences": [people.AUDIENCE],
            "keys": {"jwks": {"cluster": "jina", "authority": "second.example", "path": "/jwks.json", "timeout": "1s"}},
        })
        gateway = start(configuration)
        while gateway.call(token=people.token(iss="https://second.example", key=other)).status == 503:
            pass
        good = gateway.call(token=people.token(iss="https://second.example", key=other))
        assert expect_served(good)["actor"]["iss"] == "https://second.example"
        for iss, key in [(people.ISSUER, other), ("https://second.example", people.RSA)]:
            expect_problem(gateway.call(token=people.token(iss=iss, key=key)), 401, "unauthenticated", "bad-signature")
    finally:
        second.close()
