"""May they? What no rule allows is refused with 403, and no upstream sees anything."""

import people
import pytest
from gateway import COHERE, MODELS, body, expect_refused, plugin

DENIED = {
    "a model that no rule names": dict(body=body(model="gpt-rerank")),
    "a dataset that no rule names": dict(path="/cohere/finance/v2/rerank"),
    "a group that no rule names": dict(token=("ann", ["grp-cooks"])),
    "no group": dict(token=("ann", [])),
    "a group by its alias": dict(token=("ann", ["analysts"])),
    "a group a deny names, beside one an allow names": dict(path="/cohere/hr-reviews/v2/rerank", token=("ann", ["grp-search", "grp-contractors"])),
    "too many documents": dict(body=body(documents=["d"] * 21)),
    "too many results": dict(body=body(documents=["d"] * 20, top_n=11)),
    "too many results by leaving the limit out": dict(body=body(documents=["d"] * 20, top_n=None)),
    "too long a query": dict(body=body(query="q" * 201)),
    "too long a query in bytes": dict(body=body(query="\u00e9" * 101)),
    "a guard's smaller limit": dict(path="/cohere/hr-reviews/v2/rerank", body=body(documents=["d"] * 11, top_n=1)),
    "a model of another route's upstream": dict(body=body(model=MODELS["jina"])),
}


@pytest.mark.parametrize("what", DENIED)
def test_denied_for(gateway, approver, what):
    call = dict(DENIED[what])
    who = call.pop("token", ("ann", ["grp-search"]))
    reply = gateway.call(call.pop("path", COHERE), token=people.token(*who), **call)
    problem = expect_refused(gateway, reply, 403, "forbidden")
    assert approver.seen == [], "a call that cannot go on bothers nobody"
    # The caller learns no policy: not the rules, not the groups, not which limit.
    for word in ("analysts", "no-contractors-in-hr", "mask-pii", "limit", "grp-", "documents", "dataset", "model"):
        assert word not in problem["detail"] and word not in problem["title"]
    assert reply.record["actor"]["sub"] == "ann" and reply.record["call"]["model"]


def test_a_denial_names_its_rules_in_the_record(gateway):
    reply = gateway.call("/cohere/hr-reviews/v2/rerank", token=people.token(groups=["grp-search", "grp-contractors"]))
    expect_refused(gateway, reply, 403, "forbidden")
    assert reply.record["decision"]["effect"] == "deny" and "no-contractors-in-hr" in reply.record["decision"]["rules"]


def test_an_exceeded_limit_is_a_near_miss_in_the_record(gateway):
    reply = gateway.call(body=body(query="q" * 201))
    expect_refused(gateway, reply, 403, "forbidden")
    misses = {miss["rule"]: miss["what"] for miss in reply.record["decision"]["near_misses"]}
    assert "query" in misses["analysts-cohere"], misses


FOREIGN = {
    "another dataset": ("/cohere/web-docs/v1/rerank", [{"text": "one", "dataset": "web-docs"}, {"text": "two", "dataset": "hr-reviews"}], []),
    "another tenant": ("/tenants/web-docs/v1/rerank", [{"text": "one", "tenant": "acme"}, {"text": "two", "tenant": "evil"}], [("x-tenant", "acme")]),
    "a dataset that is no text": ("/cohere/web-docs/v1/rerank", [{"text": "one", "dataset": ["web-docs"]}], []),
    "datasets that differ": ("/by-document/v1/rerank", [{"text": "one", "dataset": "web-a"}, {"text": "two", "dataset": "web-b"}], []),
    "no dataset where each must name one": ("/by-document/v1/rerank", [{"text": "one", "dataset": "web-a"}, {"text": "two"}], []),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_documents_that_name(gateway, what):
    path, documents, headers = FOREIGN[what]
    reply = gateway.call(path, body=body(documents=documents), headers=headers)
    assert reply.status in (403, 422), reply.body
    expect_refused(gateway, reply, reply.status, "forbidden" if reply.status == 403 else "malformed-call")


@pytest.mark.parametrize("headers", [[], [("x-tenant", "a"), ("x-tenant", "b")], [("x-tenant", "")], [("x-tenant", "a/b")]],
                         ids=["missing", "doubled", "empty", "no name"])
def test_a_tenant_that_is_not_named_exactly_once_is_refused(gateway, headers):
    expect_refused(gateway, gateway.call("/tenants/web-docs/v1/rerank", headers=headers), 422, "malformed-call")


def test_an_expired_rule_allows_nobody(changeable):
    configuration = plugin()
    for rule in configuration["bundle"]["inline"]["rules"]:
        if "allow" in rule:
            rule["expires"] = "2020-01-01"
    gateway = changeable.change(configuration)
    expect_refused(gateway, gateway.call(), 403, "forbidden")


def test_an_expired_bundle_allows_nobody(changeable):
    configuration = plugin()
    configuration["bundle"]["inline"]["bundle"]["not_after"] = "2020-01-01"
    gateway = changeable.change(configuration)
    expect_refused(gateway, gateway.call(), 403, "forbidden")


def test_a_shadow_rule_is_recorded_and_changes_nothing(changeable):
    configuration = plugin()
    configuration["bundle"]["inline"]["rules"].append({"id": "soon", "mode": "shadow", "deny": {"datasets": ["web-*"]}})
    gateway = changeable.change(configuration)
    reply = gateway.call()
    assert reply.status == 200
    assert reply.record["decision"]["shadow"]["effect"] == "deny" and "soon" in reply.record["decision"]["shadow"]["rules"]


def test_a_credential_never_reaches_an_upstream_it_is_not_for(changeable):
    configuration = plugin()
    for rule in configuration["bundle"]["inline"]["rules"]:
        if rule["id"] == "analysts-cohere":
            rule["use"] = "jina"
    gateway = changeable.change(configuration)
    expect_refused(gateway, gateway.call(), 403, "forbidden")
