"""Two workers: each has a module of its own, with its own keys and its own chain of records, and both guard."""

import json
from concurrent.futures import ThreadPoolExecutor

import people
from gateway import COHERE, body, expect_chain, results
from wire import Http1, answer_json

CLIENTS, CALLS = 8, 12


def test_two_workers_serve_mask_refuse_and_record(services, start):
    services.upstreams["cohere"].always(lambda request: answer_json(
        {**results(0.5), "meta": {"warnings": [f"{request.json()['query']} {people.EMAIL}"]}}))
    gateway = start(concurrency=2)
    expect_keys_on_both(gateway)
    taken = gateway.lines_nobody_took()
    services.fresh()
    sent = gateway.sent()

    def client(number):
        got = []
        with Http1(gateway.port) as connection:
            for call in range(CALLS):
                mark = f"client-{number}-call-{call}"
                good = call % 3 != 2
                token = people.token(f"user-{number}", ["grp-search" if good else "grp-cooks"])
                connection.send(gateway.request(COHERE, body=body(query=mark), token=token))
                response = connection.response()
                if good:
                    assert response.status == 200
                    assert response.json()["meta"]["warnings"] == [f"{mark} [email]"], "an answer that is not this call's, or not masked"
                else:
                    assert response.status == 403
                got.append(response.status)
        return got

    before = [gateway.envoy.stat(f"listener.127.0.0.1_0.worker_{worker}.downstream_cx_total") for worker in (0, 1)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = [status for got in pool.map(client, range(CLIENTS)) for status in got]
    after = [gateway.envoy.stat(f"listener.127.0.0.1_0.worker_{worker}.downstream_cx_total") for worker in (0, 1)]
    assert all(one > other for one, other in zip(after, before)), f"a worker had nothing to do: {before} {after}"
    served = CLIENTS * CALLS * 2 // 3
    assert statuses.count(200) == served == gateway.sent() - sent == len(services.upstreams["cohere"].seen)
    gateway.envoy.wait(lambda: gateway.lines_nobody_took() == taken + CLIENTS * CALLS, "record of every call")
    lines = (gateway.envoy.directory / "access.log").read_bytes().splitlines()
    chains = expect_chain(lines)
    assert len(chains) == 2 and sum(chains.values()) == len(lines)
    ids = [json.loads(line)["record"][0]["decision_id"] for line in lines]
    assert len(set(ids)) == len(ids), "two decisions of one id"


def expect_keys_on_both(gateway):
    """Both workers have fetched keys: two connections at once land on two workers."""
    while True:
        with Http1(gateway.port) as one, Http1(gateway.port) as other:
            for connection in (one, other):
                connection.send(gateway.request(COHERE))
            statuses = [connection.response().status for connection in (one, other)]
        for _ in statuses:
            gateway.next_line()
        if statuses == [200, 200]:
            return
        assert set(statuses) <= {200, 503}
