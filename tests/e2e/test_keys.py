"""The identity provider's keys: until there are any, nobody is let in; whatever happens to it, good keys stay and bad ones never come.

One gateway knows many issuers, each with keys of its own that are somehow odd, so that all waits for the next fetch run at once.
"""

from __future__ import annotations

import collections
import re
import threading
import time

import people
import pytest
import stack
from gateway import Gateway, Services, expect_problem, expect_refused, expect_served, plugin
from wire import Answer, Server, answer_json

GOOD = people.jwks(people.RSA, people.EC)
SYMMETRIC = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "alg": "HS256", "kid": "rsa-1"}
RUBBISH = {
    "HTML": lambda: Answer(headers=[("content-type", "text/html")], body=b"<html>keys</html>"),
    "an empty body": lambda: Answer(body=b""),
    "no keys": lambda: answer_json({"keys": []}),
    "another document": lambda: answer_json({"hello": 1}),
    "JSON that is cut off": lambda: answer_json(b'{"keys":[{"kty":"RSA"'),
    "duplicate members": lambda: answer_json(b'{"keys":[],"keys":[]}'),
    "a redirect": lambda: Answer(status=302, headers=[("location", "http://127.0.0.1/jwks.json")]),
    "good keys under a status of 500": lambda: answer_json(GOOD, 500),
    "symmetric keys": lambda: answer_json({"keys": [SYMMETRIC]}),
    "a symmetric key beside good ones": lambda: answer_json({"keys": [*GOOD["keys"], {**SYMMETRIC, "kid": "x"}]}),
    "a connection that is reset": lambda: Answer(reset=True),
    "a body that is cut off": lambda: answer_json(GOOD, length=100000, cut=200),
}
ODD = [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"}, {"kty": "EC", "crv": "P-521", "kid": "curve"}, {"kty": "XYZ"}]
NEW, SAME_KID = people.Key("new-1", "ES256"), people.Key("rsa-1")


def path_of(what: str) -> str:
    return "/" + what.replace(" ", "-")


def issuer_of(what: str) -> str:
    return f"https://{what.replace(' ', '-').lower()}.example"


def fetched(what: str, **changes: object) -> dict:
    jwks = {"cluster": "idp", "authority": "idp.example", "path": path_of(what), "timeout": "1s", **changes}
    return {"jwks": jwks}


# What is odd about an issuer: where its keys come from, beside those in the list above.
ISSUERS = {
    **{what: fetched(what) for what in RUBBISH},
    **{f"{what}, then good ones": fetched(f"{what}, then good ones") for what in RUBBISH},
    "down": fetched("down", cluster="down"),
    "nowhere": fetched("nowhere", cluster="nowhere"),
    "slow": fetched("slow", timeout="9s"),
    "odd keys beside a good one": fetched("odd keys beside a good one"),
    "of the same key id": fetched("of the same key id"),
    "inline": {"inline": GOOD},
    "asked for unknown keys": fetched("asked for unknown keys"),
    "with a new key": fetched("with a new key"),
    "that breaks": fetched("that breaks", refresh="1s"),
    "that is lost": fetched("that is lost", refresh="1s", max_stale="2s"),
}


class Provider:
    """Answers for every issuer, by path."""

    def __init__(self) -> None:
        self.slow, self.seen = threading.Event(), collections.defaultdict(list)
        self.answers = {
            **{path_of(what): answer for what, answer in RUBBISH.items()},
            **{path_of(f"{what}, then good ones"): answer for what, answer in RUBBISH.items()},
            path_of("slow"): lambda: answer_json(GOOD, hold=self.slow),
            path_of("odd keys beside a good one"): lambda: answer_json({"keys": [*ODD, people.RSA.jwk]}),
            path_of("of the same key id"): lambda: answer_json(people.jwks(SAME_KID)),
        }

    def __call__(self, request):
        self.seen[request.target].append(request)
        return self.answers.get(request.target, lambda: answer_json(GOOD))()


@pytest.fixture(scope="module")
def many():
    """The gateway of all the issuers. `down` is what its cluster of that name reaches, once it is open."""
    services, provider = Services(), Provider()
    services.idp.always(provider)
    down = Server("a provider that is down", lambda _: answer_json(GOOD), listening=False)
    configuration = plugin()
    for what, keys in ISSUERS.items():
        configuration["callers"]["issuers"].append({"issuer": issuer_of(what), "audiences": [people.AUDIENCE], "keys": keys})
    try:
        with Gateway(services, configuration, clusters=[stack.cluster("down", down.port)]) as gateway:
            gateway.provider, gateway.down = provider, down
            yield gateway
    finally:
        down.close()
        services.close()


@pytest.fixture
def keys(many):
    yield from many.watched()


def call(gateway, what, *, key=people.RSA, **header):
    return gateway.call(token=people.token(iss=issuer_of(what), key=key, header=header))


def until_served(gateway, what, status=503, code="not-ready", reason="no-keys-yet", **how):
    """Calls until a call is served; every call before that is refused."""
    while (reply := call(gateway, what, **how)).status != 200:
        expect_problem(reply, status, code, reason)
        assert reply.record["credential"] is None
        time.sleep(0.02)
    assert expect_served(reply)["actor"]["iss"] == issuer_of(what)


def until_fetches_failed(gateway, what, since=0):
    """Waits until a fetch after `since` has failed in each of Envoy's two modules: the worker's, and the main thread's, which only tries
    the configuration out."""
    def threads():
        line = re.compile(rf"^\[[^]]*\]\[(\d+)\].*keys of `{re.escape(issuer_of(what))}`: .* stay$", re.MULTILINE)
        found = set(line.findall(gateway.envoy.output[since:]))
        return len(found) == 2

    gateway.envoy.wait(threads, f"failed fetches of keys of `{what}`")


def test_slow_at_the_start_means_503_at_once_and_then_service(keys):
    expect_refused(keys, call(keys, "slow"), 503, "not-ready", "no-keys-yet")
    keys.provider.slow.set()
    until_served(keys, "slow")
    assert keys.sent() == 1


def test_down_at_the_start_means_503_and_then_service_without_a_restart(keys):
    until_fetches_failed(keys, "down")
    expect_refused(keys, call(keys, "down"), 503, "not-ready", "no-keys-yet")
    keys.down.open()
    until_served(keys, "down")
    assert keys.sent() == 1


def test_rubbish_at_the_start_means_503_and_then_service(keys):
    names = [f"{what}, then good ones" for what in RUBBISH]
    for what in names:
        until_fetches_failed(keys, what)
        expect_refused(keys, call(keys, what), 503, "not-ready", "no-keys-yet")
    for what in names:
        del keys.provider.answers[path_of(what)]
    for what in names:
        until_served(keys, what)
    assert keys.sent() == len(names)


@pytest.mark.parametrize("what", RUBBISH)
def test_no_key_comes_from(keys, what):
    until_fetches_failed(keys, what)
    for key in (people.RSA, people.EC):
        expect_refused(keys, call(keys, what, key=key), 503, "not-ready", "no-keys-yet")


def test_one_key_that_cannot_be_used_does_not_spoil_the_set(keys):
    until_served(keys, "odd keys beside a good one")


def test_the_provider_sees_no_token(keys):
    assert len(keys.provider.seen) > len(RUBBISH)
    for seen in (request for every in list(keys.provider.seen.values()) for request in every):
        assert seen.method == "GET" and seen.body == b"" and seen.one("host") == "idp.example"
        assert seen.all("authorization") == [] and b"eyJ" not in b"".join(value for _, value in seen.headers)


def test_inline_keys_need_no_provider(keys):
    for key in (people.RSA, people.EC):
        expect_served(call(keys, "inline", key=key))
    expect_problem(call(keys, "inline", key=people.STRANGER), 401, "unauthenticated", "bad-signature")
    expect_problem(call(keys, "inline", kid="made-up"), 401, "unauthenticated", "unknown-key")
    assert path_of("inline") not in keys.provider.seen and keys.sent() == 2


def test_a_cluster_that_does_not_exist_means_503(keys):
    for _ in range(3):
        expect_refused(keys, call(keys, "nowhere"), 503, "not-ready", "no-keys-yet")


def test_each_issuer_has_its_own_keys(keys):
    until_served(keys, "of the same key id", key=SAME_KID)
    sent = keys.sent()
    for what, key in [("inline", SAME_KID), ("of the same key id", people.RSA)]:
        expect_problem(call(keys, what, key=key), 401, "unauthenticated", "bad-signature")
    expect_problem(keys.call(token=people.token(key=SAME_KID)), 401, "unauthenticated", "bad-signature")
    assert keys.sent() == sent


def test_good_keys_stay_while_the_provider_answers_rubbish(keys):
    until_served(keys, "that breaks")
    since = len(keys.envoy.output)
    keys.provider.answers[path_of("that breaks")] = RUBBISH["no keys"]
    until_fetches_failed(keys, "that breaks", since)
    expect_served(call(keys, "that breaks"))


def test_keys_that_are_too_old_are_believed_no_longer(keys):
    until_served(keys, "that is lost", reason=None)
    keys.provider.answers[path_of("that is lost")] = RUBBISH["a connection that is reset"]
    token = people.token(iss=issuer_of("that is lost"))
    while (reply := keys.call(token=token)).status == 200:
        time.sleep(0.02)
    expect_problem(reply, 503, "not-ready", "keys-stale")
    sent = keys.sent()
    expect_problem(call(keys, "that is lost"), 503, "not-ready", "keys-stale")
    assert keys.sent() == sent
    del keys.provider.answers[path_of("that is lost")]
    until_served(keys, "that is lost", reason="keys-stale")


def test_an_unknown_kid_is_refused_and_asks_for_keys_at_a_bounded_rate(keys):
    what = "asked for unknown keys"
    until_served(keys, what)
    sent, before = keys.sent(), len(keys.provider.seen[path_of(what)])
    for number in range(12):
        reply = call(keys, what, key=people.Key(f"unknown-{number}", "ES256"))
        expect_problem(reply, 401, "unauthenticated", "unknown-key")
    for number in range(8):
        expect_problem(call(keys, what, kid=f"made-up-{number}"), 401, "unauthenticated", "unknown-key")
    assert keys.sent() == sent
    asked = len(keys.provider.seen[path_of(what)]) - before
    assert asked <= 2, f"{asked} fetches for 20 tokens"
    until_served(keys, what)


def test_a_new_key_is_taken_up_because_a_token_asks_for_it(keys):
    what = "with a new key"
    until_served(keys, what)
    keys.provider.answers[path_of(what)] = lambda: answer_json(people.jwks(people.RSA, NEW))
    until_served(keys, what, 401, "unauthenticated", "unknown-key", key=NEW)
    expect_served(call(keys, what))
