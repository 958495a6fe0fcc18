"""Who is allowed nothing, or is nobody, can spend next to nothing of the gateway, and locks nobody out; and what a call is about is
told however it is spelt. Costs are counted by what was looked at, as records tell it, never by time."""

from __future__ import annotations

import base64
import copy
import json
import time

import people
import pytest
from gateway import BUNDLE, COHERE, body, expect_problem, expect_refused, expect_served, plugin
from people import claims, token

ED = people.Key("ed-1", "EdDSA")
MANY = [f"{number:x}" for number in range(1900)]


def forged(key: people.Key = people.RSA, **changes) -> str:
    """A token that nobody signed: each call another one."""
    length = {"RS256": 256, "ES256": 64, "EdDSA": 64}[key.algorithm]
    header = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"}
    parts = [*(json.dumps(part, separators=(",", ":")).encode() for part in (header, claims(**changes))), b"\x01" * length]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def callers(**budget) -> dict:
    issuer = {"issuer": people.ISSUER, "audiences": [people.AUDIENCE], "algorithms": ["RS256", "ES256", "EdDSA"],
              "keys": {"inline": people.jwks(people.RSA, people.EC, ED)}}
    return {"issuers": [issuer], **({"bad_signatures": budget} if budget else {})}


def ruled(*rules: dict, **changes) -> dict:
    written = copy.deepcopy(BUNDLE)
    written["rules"] += rules
    return plugin(bundle={"inline": written}, **changes)


# ---- Nobody -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ["groups", "groups of no form", "audiences", "no audience", "a long scope", "no subject", "a binding"])
def test_of_an_unsigned_token_nothing_is_read_but_its_key_that_has(gateway, what):
    said = {"groups": {"groups": MANY}, "groups of no form": {"groups": MANY, "_claim_names": {"groups": 1}}, "audiences": {"aud": MANY + [7]},
            "no audience": {"aud": None}, "a long scope": {"scope": "x " * 4000}, "no subject": {"sub": []}, "a binding": {"cnf": 7}}[what]
    reply = gateway.call(token=forged(**said))
    expect_refused(gateway, reply, 401, "unauthenticated", "bad-signature")


def test_a_signed_token_with_many_groups_is_served_and_each_group_counts_once(gateway):
    record = expect_served(gateway.call(token=token(groups=[*MANY, *MANY[:50], "grp-search"])))
    assert record["actor"]["groups"] == [*MANY, "grp-search"]


@pytest.mark.parametrize("key", [people.RSA, people.EC], ids=lambda key: key.algorithm)
def test_forged_tokens_that_the_host_proves_wrong_lock_nobody_out(changeable, key):
    gateway = changeable.change(plugin(callers=callers(burst=1, forgive="1h")))
    for _ in range(120):
        expect_problem(gateway.call(token=forged(key)), 401, "unauthenticated", "bad-signature")
    for one in (people.RSA, people.EC, ED):
        expect_served(gateway.call(token=token(key=one)))
    assert gateway.sent() == 3


def test_fifty_forged_tokens_and_two_a_second_lock_nobody_at_that_address_out(changeable):
    gateway = changeable.change(plugin(callers=callers()))
    for _ in range(50):
        expect_problem(gateway.call(token=forged(ED)), 401, "unauthenticated", "bad-signature")
    for number in range(3):
        for _ in range(2):
            expect_problem(gateway.call(token=forged(ED)), 401, "unauthenticated", "bad-signature")
        expect_served(gateway.call(token=token(f"caller-{number}", key=ED)))
    assert gateway.sent() == 3


def test_over_the_budget_callers_are_told_to_come_again_and_then_pass(changeable):
    gateway = changeable.change(plugin(callers=callers(burst=3, forgive="700ms")))
    known, fresh, bad = token(key=ED), token("fresh", key=ED), forged(ED)
    expect_served(gateway.call(token=known))
    for one in (bad, forged(ED), forged(ED)):
        expect_problem(gateway.call(token=one), 401, "unauthenticated", "bad-signature")
    reasons = [gateway.call(token=forged(ED)).record["result"]["reason"] for _ in range(30)]
    assert set(reasons) <= {"bad-signature", "too-many-bad-signatures"} and reasons.count("bad-signature") < 20, reasons
    expect_served(gateway.call(token=known))
    expect_served(gateway.call(token=token(key=people.RSA)))
    expect_problem(gateway.call(token=bad), 401, "unauthenticated", "bad-signature")
    deadline = time.monotonic() + 20
    while (reply := gateway.call(token=fresh)).status != 200:
        expect_problem(reply, 503, "not-ready", "too-many-bad-signatures")
        assert time.monotonic() < deadline, "a good token is locked out"
        time.sleep(0.1)
    expect_served(reply)
    assert gateway.sent() == 4


def test_the_same_forged_token_is_checked_once(changeable):
    gateway = changeable.change(plugin(callers=callers(burst=1, forgive="1h")))
    bad = forged(ED)
    for _ in range(20):
        expect_problem(gateway.call(token=bad), 401, "unauthenticated", "bad-signature")
    expect_refused(gateway, gateway.call(token=forged(ED)), 503, "not-ready", "too-many-bad-signatures")


# ---- Callers who are allowed nothing ------------------------------------------------------------------------------------------

KINDS = ["email", "phone", "iban", "credit_card", "us_ssn", "ip_address"]
CURIOUS = [
    *({"id": f"look-{one}-{other}", "guard": {}, "when": {"pii": [one, other]}, "risk": 1} for one in KINDS for other in KINDS[:3]),
    {"id": "no-mail", "deny": {}, "when": {"pii": ["email"]}},
    {"id": "no-falcon", "deny": {}, "when": {"terms": ["falcon"]}},
]
TEXT = ":" * 40_000 + f" falcon {people.EMAIL}"


def test_the_texts_of_a_call_that_nothing_allows_are_not_read(changeable):
    gateway = changeable.change(ruled(*CURIOUS))
    for changes in [{"model": "nobody-1"}, {"documents": ["a"] * 30}]:
        reply = gateway.call(body=body(query="q", **{"documents": [TEXT], **changes}))
        # Had they been read, the rules that look for something would have said so.
        expect_refused(gateway, reply, 403, "forbidden", "no-rule")
        assert reply.record["decision"]["rules"] == [] and reply.record["decision"]["risk"] == 0
    reply = gateway.call(token=token(groups=["grp-nobody"]), body=body(documents=[TEXT]))
    expect_refused(gateway, reply, 403, "forbidden", "no-rule")
    reply = gateway.call("/cohere/hr-reviews/v2/rerank", token=token(groups=["grp-contractors"]), body=body(documents=[TEXT]))
    expect_refused(gateway, reply, 403, "forbidden", "denied-by-rule")
    assert reply.record["decision"]["rules"] == ["no-contractors-in-hr"]
    reply = gateway.call(body=body(documents=[TEXT]))
    expect_refused(gateway, reply, 403, "forbidden", "denied-by-rule")
    assert reply.record["decision"]["rules"] == ["no-falcon", "no-mail"]


def test_one_look_tells_every_rule_what_it_asked_for_the_shadow_bundle_too(changeable):
    shadow = copy.deepcopy(BUNDLE)
    shadow["rules"] += [*CURIOUS, {"id": "no-eagle", "deny": {}, "when": {"terms": ["eagle"]}}]
    enforced = copy.deepcopy(BUNDLE)
    enforced["rules"] += CURIOUS[:18]
    gateway = changeable.change(plugin(bundle={"inline": enforced, "shadow": {"inline": shadow}}))
    record = expect_served(gateway.call(body=body(query=f"{people.CARD} {people.PHONE} EAGLE", documents=["a", "b"])))
    points = {reason["rule"] for reason in record["decision"]["risk_reasons"]}
    assert points == {rule["id"] for rule in CURIOUS[:18] if set(rule["when"]["pii"]) & {"credit_card", "phone"}}
    assert record["decision"]["shadow_bundle"]["rules"] == ["no-eagle"]


# ---- What a call is about, however it is spelt ---------------------------------------------------------------------------------

V1 = "/cohere/web-docs/v1/rerank"
TENANT = "/tenants/web-docs/v1/rerank"
NAMES = ["Dataset", "DATASET", "data\u017fet", "data_set", "data-set", "data.set", "d\u0430taset", "data\u200bset", "\uff44ataset", "d\u00e1taset", "da\u0301taset", "dataset[]"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("escaped", [False, True], ids=["as it is", "escaped"])
def test_a_document_that_nearly_names_a_dataset_is_refused(gateway, name, escaped):
    for document in [{"text": "a", name: "hr-reviews"}, {"dataset": "web-docs", name: "hr-reviews"}, {name: "web-docs"}]:
        written = json.dumps(body(documents=["x", document]), ensure_ascii=False)
        if escaped:
            written = written.replace(json.dumps(name, ensure_ascii=False), '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"')
        reply = gateway.call(V1, body=written.encode())
        expect_refused(gateway, reply, 422, "malformed-call", "malformed-call")
        assert "hr-reviews" not in reply.body.decode()


def test_a_document_that_nearly_names_a_tenant_is_refused(gateway):
    for name in ["Tenant", "TENANT", "ten\u00adant", "t\u0435nant", "te_nant"]:
        for document in [{name: "other"}, {"tenant": "ours", name: "other"}]:
            reply = gateway.call(TENANT, body=body(documents=[document]), headers=[("x-tenant", "ours")])
            expect_refused(gateway, reply, 422, "malformed-call", "malformed-call")
    reply = gateway.call("/by-document/v1/rerank", body=body(documents=[{"dataset": "web-docs", "Dataset": "hr-reviews"}]))
    expect_refused(gateway, reply, 422, "malformed-call", "malformed-call")


def test_documents_that_name_their_dataset_exactly_or_something_else_pass(gateway):
    documents = [{"dataset": "web-docs", "datasets": "x", "text": {"Dataset": "hr"}}, "Dataset: hr", {"data": 1, "set": 2}]
    expect_served(gateway.call(V1, body=body(documents=documents)))
    assert gateway.services.upstreams["cohere"].seen[0].json()["documents"] == documents


@pytest.mark.parametrize("name", ["Model", "MODEL", "m\u043edel", "top_N", "topN", "Documents", "documents\u200b", "QUERY", "rank_Fields"], ids=ascii)
def test_members_of_a_request_in_another_spelling_are_refused(gateway, name):
    reply = gateway.call(V1, body={**body(), name: "rerank-secret"})
    expect_refused(gateway, reply, 422, "malformed-call", "malformed-call")


MERGER = {
    "zero width": "mer\u200bger", "soft hyphen": "mer\u00adger", "word joiner": "m\u2060e\u2060rger", "variation selector": "mer\ufe0fger",
    "tags": "mer\U000e0041ger", "direction": "\u202emerger", "nul": "mer\u0000ger", "full width": "\uff4d\uff45\uff52\uff47\uff45\uff52",
    "mathematical": "\U0001d4c2\U0001d452\U0001d45f\U0001d454\U0001d452\U0001d45f", "circled": "\u24dc\u24d4\u24e1\u24d6\u24d4\u24e1",
    "squared": "\U0001f17c\U0001f134\U0001f141\U0001f136\U0001f134\U0001f141", "decomposed": "me\u0301rge\u0308r", "composed": "m\u00e9rg\u00ebr",
    "struck": "m\u0336e\u0336r\u0336g\u0336e\u0336r\u0336", "Cyrillic": "m\u0435rg\u0435r", "Greek": "\u039cERGER", "Cherokee": "\u13b7\u13ac\u13a1\u13c0\u13ac\u13a1",
    "small capitals": "\u1d0d\u1d07\u0280\u0262\u1d07\u0280", "superscript": "\u1d50\u1d49\u02b3\u1d4d\u1d49\u02b3", "case": "MeRgEr",
    "JSON in a string": '{"a":"mer\\u0067er"}', "JSON in JSON in a string": json.dumps(json.dumps("mer\\u0067er")), "an escape of an escape": "mer\\u005cu0067er",
    "mixed": "\uff4d\u200b\U0001d452\u0301\u0433\\u0067\u0415r",
}


@pytest.fixture(scope="module")
def secretive(changeable_gateway):
    """The changeable gateway, where mergers are not talked about."""
    rules = [
        {"id": "no-mergers", "deny": {}, "when": {"terms": ["Merger", "\u0441\u043b\u0438\u044f\u043d\u0438\u0435", "4711", "\u5408\u4f75"]}},
        {"id": "no-mail", "deny": {}, "when": {"pii": ["email"]}},
    ]
    changeable_gateway.begin()
    changeable_gateway.change(ruled(*rules))
    changeable_gateway.end()
    return changeable_gateway


@pytest.fixture
def discreet(secretive):
    yield from secretive.watched()


@pytest.mark.parametrize("how", MERGER)
def test_a_term_is_found_in_every_text_of_a_call_in(discreet, how):
    term = MERGER[how]
    for changes in [{"query": f"the {term}s"}, {"documents": ["a", f"x {term}"]}, {"documents": [{"a": {"b": ["c", term]}}]}, {"documents": [{term: 1}]},
                    {"rank_fields": [term]}, {"rank_fields": [{"x": term}]}, {"max_chunks_per_doc": term}]:
        for ensure_ascii in (True, False):
            written = json.dumps(body(**changes), ensure_ascii=ensure_ascii)
            if "\u0000" in written:
                continue
            reply = discreet.call(V1, body=written.encode())
            expect_refused(discreet, reply, 403, "forbidden", "denied-by-rule")
            assert reply.record["decision"]["rules"] == ["no-mergers"]


def test_a_term_is_found_in_pieces_of_one_document_and_in_other_scripts(discreet):
    for documents in [[{"a": "the mer", "b": "ger"}], [{"a": list("merger")}], [{"n": 4711}], ["\u0421\u041b\u0418\u042f\u041d\u0418\u0415"], ["\u5408\u200b\u4f75"]]:
        reply = discreet.call(V1, body=body(documents=documents))
        expect_refused(discreet, reply, 403, "forbidden", "denied-by-rule")
    expect_refused(discreet, discreet.call(V1, body=body(rank_fields=[people.EMAIL])), 403, "forbidden", "denied-by-rule")


def test_what_only_looks_like_a_term_passes_as_it_was_written(discreet):
    documents = ["verger", "emerge r", "mer", "ger", {"a": "m.erger"}, "C:\\users\\u00", "\u5408 \u4f75", "4 711"]
    expect_served(discreet.call(V1, body=body(documents=documents, rank_fields=["a"])))
    assert discreet.services.upstreams["cohere"].seen[0].json()["documents"] == documents
