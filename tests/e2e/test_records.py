"""What records, drafts and approvers may be told: nothing that a caller chose in clear, and nothing that people cannot see."""

import json
import os
import subprocess
import threading
from pathlib import Path

import people
import pytest
import stack
from gateway import COHERE, HR, body, expect_problem, expect_refused, expect_served, pending, results
from wire import Http1, answer_json

CARD = "4111111111111111"
MODEL = f"rerank-{people.EMAIL}"


def line_of(gateway) -> str:
    """The last line of the access log, as it stands in the file."""
    return (gateway.envoy.directory / "access.log").read_text().splitlines()[-1]


def expect_nothing_chosen(text: str) -> None:
    for value in (people.EMAIL, "ann.lee", CARD, people.IBAN.replace(" ", "")):
        assert value not in text, f"{value[:4]}… stands in clear"


def test_names_that_a_caller_chooses_are_masked_in_the_record_and_reach_the_upstream_as_they_are(gateway, cohere):
    headers = [("x-request-id", f"id-{CARD}")]
    record = expect_served(gateway.call(f"/cohere/web-{CARD}/v2/rerank", body=body(model=MODEL), headers=headers))
    assert cohere.seen[0].json()["model"] == MODEL
    assert (record["call"]["model"], record["call"]["dataset"]) == ("[email]", "web-[credit_card]")
    assert CARD not in (record["request_id"] or "")
    expect_nothing_chosen(line_of(gateway))


def test_a_name_of_the_tenant_is_masked(gateway):
    path, content = "/tenants/web-docs/v1/rerank", body(return_documents=False)
    record = expect_served(gateway.call(path, body=content, headers=[("x-tenant", f"t-{CARD}")]))
    assert record["call"]["tenant"] == "t-[credit_card]"
    expect_nothing_chosen(line_of(gateway))


@pytest.mark.parametrize("what", ["model", "dataset", "group"])
def test_what_is_refused_is_recorded_without_what_the_caller_chose(gateway, what):
    calls = {
        "model": lambda: gateway.call(body=body(model=f"other-{people.EMAIL}")),
        "dataset": lambda: gateway.call(f"/cohere/else-{CARD}/v2/rerank"),
        "group": lambda: gateway.call(f"/cohere/web-{CARD}/v2/rerank", token=people.token("ann", ["grp-cooks"])),
    }
    reply = calls[what]()
    assert reply.status == 403 and reply.record["result"]["upstream"] is None
    expect_nothing_chosen(line_of(gateway))


def test_approvers_see_no_name_in_clear_and_nothing_that_turns_text_round(gateway, approver):
    approver.answer = pending
    content = body(model=MODEL, query=f"ask {people.EMAIL} \u202egnp.exe \u200bnow")
    expect_problem(gateway.call(f"/cohere/hr-{CARD}/v2/rerank", body=content), 403, "approval-required")
    seen = approver.seen[0]
    asked = seen.json()
    assert (asked["resource"]["model"], asked["resource"]["dataset"]) == ("[email]", "hr-[credit_card]")
    assert asked["preview"]["query"] == "ask [email] \\u{202e}gnp.exe \\u{200b}now"
    expect_nothing_chosen(seen.body.decode())
    expect_nothing_chosen(line_of(gateway))


def test_two_calls_whose_names_are_masked_alike_are_still_two_calls_to_the_approver(gateway, approver):
    approver.answer = pending
    for model in ("rerank-ann.lee@example.com", "rerank-bob.ray@example.com"):
        expect_problem(gateway.call(HR, body=body(model=model)), 403, "approval-required")
    one, other = (request.json() for request in approver.seen)
    assert one["resource"] == other["resource"] and one["request_digest"] != other["request_digest"]


@pytest.mark.parametrize("hidden", [
    "rerank-v3.5\u200b", "\u202erevres-rerank", "rerank-\u2066v3", "rerank-\u00ad", "rer\u0430nk-v3", "rerank-\ufeff", "rerank-\u00a0v3", "rerank v3",
    "rerank-\u0085", "rerank-\U000e0041", "ｒerank-v3", "rerank-\n", "rerank-\u2028", "rerank-\u115f"])
def test_a_model_that_people_could_take_for_another_is_no_call(gateway, approver, hidden):
    for path in (COHERE, HR):
        expect_refused(gateway, gateway.call(path, body=body(model=hidden)), 422, "malformed-call")
        assert json.dumps(hidden)[1:-1] not in line_of(gateway)
    assert approver.seen == []


@pytest.mark.parametrize("claims", [{"sub": "ann\u202e"}, {"sub": "\u200bann"}, {"groups": ["grp-search", "grp-\u2066bi"]}], ids=["bidi", "zero-width", "group"])
def test_a_caller_whose_name_people_could_take_for_another_is_not_proved(gateway, claims):
    expect_refused(gateway, gateway.call(token=people.token(**claims)), 401, "unauthenticated")


def test_a_record_names_the_token_the_peer_the_authority_and_the_cluster(gateway):
    token = people.token(jti="7b3c9a1e-token")
    record = expect_served(gateway.call(token=token))
    assert record["actor"]["jti"] == "7b3c9a1e-token"
    assert record["call"]["authority"] == "gateway.example" and record["cluster"] == "cohere"
    denied = gateway.call(f"/cohere/else/v2/rerank", token=token).record
    assert denied["actor"]["jti"] == "7b3c9a1e-token" and denied["peer"].startswith("127.0.0.1:")


def test_what_envoy_logs_during_a_call_is_no_finding(services, start):
    """Six false findings before: two lines that begin a stream, four drafts of one call that was held upstream."""
    def shape(config):
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["access_log_options"] = {"flush_access_log_on_new_request": True, "access_log_flush_interval": "0.05s"}
        if not says_when:
            log = manager["access_log"][0]["typed_config"]["log_format"]["text_format_source"]
            log["inline_string"] = log["inline_string"].replace(',"log":"%ACCESS_LOG_TYPE%"', "")

    for says_when in (True, False):
        hold = threading.Event()
        services.upstreams["cohere"].answer = lambda _: answer_json(results(0.5), hold=hold)
        gateway = start(shape=shape, ready=False)
        while True:
            with Http1(gateway.port) as client:
                client.send(gateway.request(body={"no": "call"}))
                if client.response().status == 422:
                    break
        with Http1(gateway.port) as client:
            client.send(gateway.request())
            services.upstreams["cohere"].wait()
            log = gateway.envoy.directory / "access.log"
            gateway.envoy.wait(lambda: log.read_text().count('"type":"sent"') >= 4, "drafts during the call")
            found = verified(log)
            assert [one["kind"] for one in found] == ["draft"], "a call that is under way has a draft and no record"
            hold.set()
            assert client.response().status == 200
        gateway.envoy.wait(lambda: '"outcome":"served"' in log.read_text(), "record of the call")
        assert verified(log) == [] and log.read_text().count('"record":[]') >= 2
        services.upstreams["cohere"].fresh()


def verified(log: Path) -> list:
    tool = Path(os.environ.get("RERANK_GUARD_TOOLS") or stack.ROOT / "target/debug") / "rerank-guard"
    told = subprocess.run([tool, "--output", "json", "audit", "verify", log], capture_output=True, text=True, timeout=60)
    return json.loads(told.stdout)["findings"]
