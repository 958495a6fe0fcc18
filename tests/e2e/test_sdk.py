"""Cohere's own Python SDK, unchanged but for its base URL, with a token as its API key."""

import cohere as sdk
import people
import pytest
from cohere.core.api_error import ApiError
from gateway import MODELS, expect_seen, results
from wire import answer_json

DOCUMENTS = ["Carson City is the capital of Nevada.", "Write to the clerk."]


@pytest.fixture
def base(gateway):
    return f"http://127.0.0.1:{gateway.port}/cohere/web-docs"


def test_client_v2_reranks(gateway, cohere, base):
    token = people.token()
    cohere.answer = lambda _: answer_json(results(0.99, 0.01))
    answer = sdk.ClientV2(api_key=token, base_url=base).rerank(model=MODELS["cohere"], query="capital", documents=DOCUMENTS, top_n=2)
    assert [(result.index, result.relevance_score) for result in answer.results] == [(0, 0.99), (1, 0.01)]
    record = gateway.next_line()["record"][0]
    assert record["call"]["dialect"] == "cohere-v2" and record["result"]["outcome"] == "served"
    expect_seen(cohere, "cohere", "/v2/rerank", cohere.seen[0].body, caller=token)
    assert cohere.seen[0].json()["documents"] == DOCUMENTS


def test_client_v1_reranks_and_gets_masked_documents(gateway, cohere, base):
    cohere.answer = lambda _: answer_json(
        {"id": "r", "results": [{"index": 1, "relevance_score": 0.5, "document": {"text": f"Write to {people.EMAIL}."}}], "meta": {}})
    answer = sdk.Client(api_key=people.token(), base_url=base).rerank(
        model=MODELS["cohere"], query="who", documents=[{"text": DOCUMENTS[0]}, DOCUMENTS[1]], return_documents=True, top_n=1)
    assert answer.results[0].index == 1 and answer.results[0].document.text == "Write to [email]."
    record = gateway.next_line()["record"][0]
    assert record["call"]["dialect"] == "cohere-v1" and record["result"]["masks"][0]["kind"] == "email"


REFUSED = {
    "without a good token": (dict(api_key="not-a-token"), dict(), 401),
    "for a model that no rule names": (dict(), dict(model="other"), 403),
    "with a model that is no name": (dict(), dict(model=""), 422),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_is_an_error_that_the_sdk_can_print(gateway, base, what):
    client, call, status = REFUSED[what]
    client = sdk.ClientV2(**{"api_key": people.token(), "base_url": base, **client})
    with pytest.raises(ApiError) as refused:
        client.rerank(**{"model": MODELS["cohere"], "query": "q", "documents": DOCUMENTS, **call})
    record = gateway.next_line()["record"][0]
    assert refused.value.status_code == status == record["result"]["status"]
    assert refused.value.body["decision_id"] == record["decision_id"] and refused.value.body["message"]
    assert gateway.sent() == 0


def test_a_ticket_is_an_error_that_names_the_approval(gateway):
    client = sdk.ClientV2(api_key=people.token(), base_url=f"http://127.0.0.1:{gateway.port}/cohere/hr-reviews")
    with pytest.raises(ApiError) as refused:
        client.rerank(model=MODELS["cohere"], query="q", documents=DOCUMENTS)
    gateway.next_line()
    assert refused.value.status_code == 403 and refused.value.body["approval_url"] == "https://approver.example/a/ap-1"
    assert gateway.sent() == 0
