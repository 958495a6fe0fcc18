"""Where a call may go: whatever Envoy's routes say, a credential reaches no cluster but its route's, and no call is served under a name
that is not the gateway's."""

import copy
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import gateway as harness
import people
import pytest
import stack
from gateway import (COHERE, HR, ROUTES, SECRETS, approved, body, expect_nothing_sent, expect_problem, expect_refused, expect_seen, expect_served,
                     plugin)
from test_workers import expect_keys_on_both
from wire import Answer, Http1, Http2, Response, head_of

OURS = "gateway.example"
PREFIX = {"prefix": "/cohere/"}


def hosts(config):
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"]


def with_route(route):
    """Envoy with one more route before all others."""
    return lambda config: hosts(config)[0]["routes"].insert(0, route)


def unheld(then=lambda _: None):
    """Envoy without the filter that holds its route."""
    def shape(config):
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["http_filters"] = [one for one in manager["http_filters"] if one["name"] != stack.HELD["name"]]
        then(config)
    return shape


def lead(to, match=None, **route):
    """A route that leads calls to Cohere's path to another cluster."""
    return {"match": {**PREFIX, **(match or {})}, "route": {**({"cluster": to} if to else {}), "timeout": "15s", **route}}


def header(name, **how):
    return {"headers": [{"name": name, **how}]}


def routes_with(**changes):
    """The routes, Cohere's changed."""
    return [{**route, **changes} if route["credentials"] == ["cohere"] else route for route in copy.deepcopy(ROUTES)]


def expect_only(services, *names):
    """No upstream saw anything but these, and nowhere but at Cohere's is its secret."""
    for name, server in services.upstreams.items():
        assert name in names or server.seen == [], f"the upstream {name} saw a request"
        assert name == "cohere" or SECRETS["cohere"] not in str(server.seen), f"the upstream {name} saw Cohere's secret"


# ---- clusters ------------------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "by a second virtual host": dict(host="second.example"),
    "by a header": dict(headers=[("x-team", "red")], match=header("x-team", string_match={"exact": "red"})),
    "by a header's absence": dict(match=header("x-team", present_match=False)),
    "by a runtime fraction": dict(match={"runtime_fraction": {"default_value": {"numerator": 100}}}),
    "by a cluster header": dict(headers=[("x-cluster", "jina")], to=None, cluster_header="x-cluster"),
    "by weights": dict(to=None, weighted_clusters={"clusters": [{"name": "jina", "weight": 1}, {"name": "vllm", "weight": 1}]}),
    "to everybody": dict(),
}


@pytest.mark.parametrize("how", ELSEWHERE)
def test_a_call_that_envoy_routes_to_another_cluster_goes_nowhere(services, start, how):
    told = dict(ELSEWHERE[how])
    host, headers, match, to = told.pop("host", OURS), told.pop("headers", []), told.pop("match", None), told.pop("to", "jina")
    route = lead(to, match, **told)

    def shape(config):
        if host == OURS:
            hosts(config)[0]["routes"].insert(0, route)
        else:
            hosts(config).append({"name": "second", "domains": [host], "routes": [route]})

    gateway = start(plugin(origins=["http://gateway.example", "http://second.example"]), shape=shape, ready=False)
    ready(gateway)
    for path in (COHERE, HR):
        reply = send(gateway, path, host, headers)
        expect_refused(gateway, reply, 403, "forbidden", "cluster-not-for-route")
        assert reply.record["cluster"] in ("jina", "vllm") and services.approver.seen == [], "nobody is asked in vain"
    if how in ("by a second virtual host", "by a header"):
        assert expect_served(send(gateway, COHERE, OURS, []))["cluster"] == "cohere"
        expect_only(services, "cohere")


def ready(gateway):
    """Waits until tokens can be verified, whatever becomes of calls."""
    while gateway.call(body={"no": "call"}).status == 503:
        pass
    gateway.services.fresh()


def send(gateway, path=COHERE, host=OURS, headers=(), token="", content=None):
    """A call to a host."""
    content = json.dumps(body() if content is None else content).encode()
    every = [("host", host), *headers, ("authorization", f"Bearer {token or people.token()}"), ("content-type", "application/json"),
             ("content-length", str(len(content)))]
    with Http1(gateway.port) as client:
        client.send(head_of(f"POST {path} HTTP/1.1", every) + content)
        reply = harness.Reply(client.response())
    reply.line = gateway.next_line()
    return reply


@pytest.mark.parametrize("match", [
    header("authorization", string_match={"prefix": "Bearer ey"}),
    header("authorization", string_match={"contains": SECRETS["cohere"]}, invert_match=True),
    header("accept-encoding", string_match={"exact": "gzip"}),
    header("cookie", present_match=True),
], ids=["the caller's token", "our credential", "accept-encoding", "a header that comes off"])
def test_a_call_whose_route_changes_with_our_own_edits_goes_nowhere(services, start, match):
    """To Cohere while the caller's headers are there, and elsewhere once they are ours."""
    def shape(config):
        hosts(config)[0]["routes"][:0] = [lead("cohere", match), lead("jina")]

    for open_side, status, reason in ((False, 403, "cluster-changed"), (True, 502, "wrong-cluster")):
        gateway = start(shape=unheld(shape) if open_side else shape, ready=False)
        ready(gateway)
        headers = [("accept-encoding", "gzip"), ("cookie", "a=b")]
        reply = send(gateway, headers=headers)
        assert (reply.status, reply.record["result"]["reason"], reply.record["cluster"]) == (status, reason, "jina")
        if open_side:
            # Nothing but the filter behind can keep this one back; the next ones can be, and the answer was.
            expect_problem(send(gateway, headers=headers), 503, "not-ready", "route-closed")
            assert len(services.upstreams["jina"].seen) == 1
        else:
            expect_refused(gateway, reply, status, "forbidden", reason)
            expect_only(services)
            for _ in range(3):
                expect_refused(gateway, send(gateway, headers=headers), 403, "forbidden", reason)


def test_of_weighted_clusters_all_have_to_be_listed_and_the_chosen_one_is_recorded(services, start):
    services.upstreams["vllm"].always(harness.good_results)
    weights = {"clusters": [{"name": "cohere", "weight": 1}, {"name": "vllm", "weight": 1}]}
    shape = with_route(lead(None, weighted_clusters=weights))
    gateway = start(plugin(routes=routes_with(clusters=["cohere", "vllm"])), shape=shape)
    services.fresh()
    chosen = Counter(expect_served(send(gateway))["cluster"] for _ in range(20))
    seen = {name: len(services.upstreams[name].seen) for name in ("cohere", "vllm")}
    assert seen == dict(chosen) and all(seen.values())

    services.fresh()
    narrow = start(shape=shape, ready=False)
    ready(narrow)
    replies = [send(narrow) for _ in range(20)]
    assert Counter((reply.status, reply.record["cluster"]) for reply in replies).keys() == {(200, "cohere"), (403, "vllm")}
    expect_only(services, "cohere")
    assert len(services.upstreams["cohere"].seen) == [reply.status for reply in replies].count(200)


def test_a_call_without_a_cluster_goes_nowhere(services, start):
    def shape(config):
        config_routes = hosts(config)[0]["routes"]
        config_routes[:0] = [
            {"match": {"prefix": "/cohere/"}, "route": {"cluster": "nobody"}},
            {"match": {"prefix": "/jina/"}, "direct_response": {"status": 200}},
            {"match": {"prefix": "/tei/"}, "route": {"cluster_header": "x-cluster"}},
        ]
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["route_config"]["validate_clusters"] = False

    gateway = start(shape=shape, ready=False)
    while send(gateway, "/vllm/web-docs/v1/rerank", content=body(model="mxbai-x")).status == 503:
        pass
    services.fresh()
    sent = gateway.sent()
    for path, content, headers in [
        (COHERE, body(), []), ("/jina/web-docs/v1/rerank", body(model="jina-x"), []),
        ("/tei/web-docs/rerank", {"query": "q", "texts": ["a"]}, []), ("/tei/web-docs/rerank", {"query": "q", "texts": ["a"]}, [("x-cluster", "zz")]),
    ]:
        expect_problem(send(gateway, path, headers=headers, content=content), 503, "not-ready", "no-cluster")
    expect_only(services)
    assert gateway.sent() == sent


def test_with_two_workers_no_call_reaches_another_cluster(services, start):
    def shape(config):
        hosts(config)[0]["routes"][:0] = [lead("jina", header("x-team", string_match={"exact": "red"}))]
        hosts(config).append({"name": "second", "domains": ["second.example"], "routes": [lead("vllm")]})

    gateway = start(plugin(origins=["http://gateway.example", "http://second.example"]), shape=shape, concurrency=2)
    expect_keys_on_both(gateway)
    services.fresh()
    kinds = [(OURS, [], 200), (OURS, [("x-team", "red")], 403), ("second.example", [], 403), ("third.example", [], 421)]

    def client(number):
        statuses = []
        for call in range(12):
            with Http1(gateway.port) as connection:
                host, headers, status = kinds[(number + call) % 4]
                content = json.dumps(body()).encode()
                every = [("host", host), *headers, ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
                         ("content-length", str(len(content)))]
                connection.send(head_of(f"POST {COHERE} HTTP/1.1", every) + content)
                statuses.append(connection.response().status == status)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        assert all(all(statuses) for statuses in pool.map(client, range(8)))
    expect_only(services, "cohere")
    assert len(services.upstreams["cohere"].seen) == 8 * 12 // 4


@pytest.mark.parametrize("status", [302, 303, 307, 308])
def test_an_upstream_that_redirects_takes_the_credential_nowhere(services, start, status):
    """Envoy follows the redirect by itself, with the request as the filter made it: it comes here again, and proves nobody."""
    policy = {"max_internal_redirects": 3, "redirect_response_codes": [302, 303, 307, 308], "allow_cross_scheme_redirect": True}
    gateway = start(shape=with_route({"match": PREFIX, "route": {"cluster": "cohere", "internal_redirect_policy": policy}}))
    for place in ("/jina/web-docs/v1/rerank", "/healthz", "/nowhere"):
        services.fresh()
        location = [("location", f"http://{OURS}{place}")]
        services.upstreams["cohere"].answer = lambda request: (
            Answer(status=status, headers=location) if len(services.upstreams["cohere"].seen) == 1 else harness.good_results(request))
        with Http1(gateway.port) as client:
            client.send(gateway.request(COHERE))
            assert client.response().status != 0
        gateway.drain()
        expect_only(services, "cohere")
        assert SECRETS["cohere"] not in str(services.upstreams["cohere"].seen[1:]), "a second request with the credential"


# ---- authorities ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("host", ["gateway.example", "GATEWAY.Example", "gateway.example:80"])
def test_the_gateway_goes_by_its_own_names(gateway, cohere, host):
    assert expect_served(send(gateway, host=host))["call"]["authority"] == "gateway.example"
    assert len(cohere.seen) == 1


ODD = ["evil.example", "gateway.example.evil.example", "evil.gateway.example", "gateway.example.", "gateway.example:8080", "gateway.example:443",
       "gateway.example:080", "gateway.example:0", "gateway.example:", "user@gateway.example", "gateway.example, evil.example",
       "gateway.example evil.example", "gateway%2eexample", "127.1:80", "[::1]", "[::1", "gateway.example\t", "", "gateway.example/x",
       "gateway.example?x", "gateway.example#x", "gateway.example\\x", "*", b"gateway.example\xa1"]


@pytest.mark.parametrize("host", ODD)
def test_no_call_is_served_under_another_name(gateway, host):
    content = json.dumps(body()).encode()
    with Http1(gateway.port) as client:
        client.send(head_of(f"POST {COHERE} HTTP/1.1", [
            ("host", host), ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
            ("content-length", str(len(content)))]) + content)
        response = client.response()
    if host == "gateway.example\t":
        # Blanks around a value are none of it (RFC 9110, section 5.5).
        assert response.status == 200
    else:
        assert response.status in (400, 421), response.status
        if response.status == 421:
            assert response.json()["type"].endswith(":misdirected")
        expect_nothing_sent(gateway)
    gateway.drain()


@pytest.mark.parametrize("lines", [["gateway.example", "evil.example"], ["evil.example", "gateway.example"], ["gateway.example", "gateway.example"]])
def test_two_hosts_are_refused(gateway, lines):
    content = json.dumps(body()).encode()
    with Http1(gateway.port) as client:
        client.send(head_of(f"POST {COHERE} HTTP/1.1", [
            *(("host", host) for host in lines), ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
            ("content-length", str(len(content)))]) + content)
        assert client.response().status in (400, 421)
    expect_nothing_sent(gateway)
    gateway.drain()


def test_an_absolute_target_says_whom_it_addresses_and_the_host_line_does_not(gateway, cohere):
    def absolute(authority, host):
        content = json.dumps(body()).encode()
        with Http1(gateway.port) as client:
            client.send(head_of(f"POST http://{authority}{COHERE} HTTP/1.1", [
                ("host", host), ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
                ("content-length", str(len(content)))]) + content)
            reply = harness.Reply(client.response())
        reply.line = gateway.next_line()
        return reply

    for host in (OURS, "evil.example"):
        expect_refused(gateway, absolute("evil.example", host), 421, "misdirected", "wrong-authority")
    expect_served(absolute(OURS, "evil.example"))
    assert len(cohere.seen) == 1 and "evil" not in str(cohere.seen[0].headers)


def test_over_http2_the_authority_is_held_too(gateway, cohere):
    def call(*authorities):
        content = json.dumps(body()).encode()
        with Http2(gateway.port) as client:
            stream = client.headers([
                (":method", "POST"), (":path", COHERE), (":scheme", "http"), *authorities, ("authorization", f"Bearer {people.token()}"),
                ("content-type", "application/json"), ("content-length", str(len(content)))])
            try:
                client.data(stream, content, end=True)
                return client.response(stream)
            except ConnectionResetError:
                # Envoy's codec refused it.
                return Response()

    assert call((":authority", "evil.example")).status == 421
    for authorities in [[(":authority", "evil.example"), ("host", OURS)], [("host", "evil.example")], []]:
        assert call(*authorities).status != 200, authorities
    expect_nothing_sent(gateway)
    both = call((":authority", OURS), ("host", "evil.example"))
    assert both.status != 200 or "evil" not in str(cohere.seen[0].headers), "the upstream saw a host that nobody judged"
    assert call((":authority", OURS)).status == 200
    gateway.drain()


def test_a_listed_stream_is_held_to_the_gateways_names(gateway):
    reply = gateway.call("/healthz", method="GET", token=None, transfer="none", headers=[])
    assert reply.record["result"]["outcome"] == "passed" and reply.record["call"]["authority"] == "gateway.example"
    with Http1(gateway.port) as client:
        client.send(head_of("GET /healthz HTTP/1.1", [("host", "evil.example")]))
        assert client.response().status == 421
    assert gateway.next_line()["record"][0]["result"]["reason"] == "wrong-authority"
    assert "evil" not in str([server.seen for server in gateway.services.upstreams.values()])


def test_the_upstream_is_sent_its_own_name_whatever_callers_write(services, start):
    gateway = start(plugin(routes=routes_with(host="api.cohere.com")))
    services.fresh()
    expect_served(send(gateway))
    assert services.upstreams["cohere"].seen[0].all("host") == ["api.cohere.com"]

    free = start({**plugin(routes=[{**route, "host": "api.example"} for route in ROUTES], origins=None, **{"pass": None})})
    services.fresh()
    record = expect_served(send(free, host="whatever.example"))
    assert services.upstreams["cohere"].seen[0].all("host") == ["api.example"]
    assert record["call"]["authority"] is None, "what a caller chose is not recorded"
    with Http1(free.port) as client:
        client.send(head_of(f"POST {COHERE} HTTP/1.1", [("host", "a@b"), ("content-length", "0")]))
        assert client.response().status in (400, 421)


def test_an_approval_is_for_one_authority_and_one_cluster(services, start):
    def shape(config):
        hosts(config)[0]["routes"].insert(0, lead("vllm", header("x-team", string_match={"exact": "red"})))

    gateway = start(plugin(routes=routes_with(clusters=["cohere", "vllm"]), origins=["http://gateway.example", "http://second.example"]), shape=shape)
    services.fresh()
    for host, headers in [(OURS, []), ("GATEWAY.example:80", []), ("second.example", []), (OURS, [("x-team", "red")])]:
        expect_problem(send(gateway, HR, host, headers), 403, "approval-required")
    asked = [request.json()["request_digest"] for request in services.approver.seen]
    assert asked[0] == asked[1] and len(set(asked)) == 3


# ---- what ends meanwhile -------------------------------------------------------------------------------------------------

SKEW = 30  # seconds, the default leeway


def short_lived():
    """A token that is good for a moment more, and when it ends."""
    now = int(time.time())
    return people.token(iat=now - 300, exp=now - SKEW + 4), now + 4


def until(moment):
    while time.time() < moment + 0.1:
        time.sleep(0.05)


def test_a_token_that_expires_while_its_body_comes_is_refused(gateway):
    for transfer in ("length", "chunked"):
        token, ends = short_lived()
        whole = gateway.request(COHERE, token=token, transfer=transfer)
        with Http1(gateway.port) as client:
            client.send(whole[:-20])
            until(ends)
            client.send(whole[-20:])
            reply = harness.Reply(client.response())
        reply.line = gateway.next_line()
        expect_refused(gateway, reply, 401, "unauthenticated", "expired")
        assert 'error="invalid_token"' in reply.one("www-authenticate")


def test_a_token_that_expires_while_people_are_asked_is_refused(services, start):
    approver = {**plugin()["approver"], "timeout": "20s", "wait": "500ms"}
    gateway = start(plugin(approver=approver))
    services.fresh()
    ends = []

    def slowly(request):
        until(ends[-1])
        return approved()(request)

    services.approver.answer = slowly
    token, moment = short_lived()
    ends.append(moment)
    reply = gateway.call(HR, token=token)
    expect_problem(reply, 401, "unauthenticated", "expired")
    assert len(services.approver.seen) == 1
    expect_only(services)
    services.approver.answer = approved()
    expect_served(gateway.call(HR))
    expect_only(services, "cohere")


def test_a_token_is_good_to_its_end_also_from_the_cache(gateway, cohere):
    token, ends = short_lived()
    expect_served(gateway.call(token=token))
    until(ends)
    expect_problem(gateway.call(token=token), 401, "unauthenticated", "expired")
    assert len(cohere.seen) == 1


@pytest.mark.parametrize("what", ["the rule", "the bundle"])
def test_what_expires_while_people_are_asked_allows_nothing(changeable, what):
    services, bundle = changeable.services, copy.deepcopy(harness.BUNDLE)
    ends = int(time.time()) + 8
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    if what == "the rule":
        for rule in bundle["rules"]:
            if rule["id"] == "analysts-cohere":
                rule["expires"] = moment
    else:
        bundle["bundle"]["not_after"] = moment
    approver = {**plugin()["approver"], "timeout": "20s", "wait": "500ms"}
    gateway = changeable.change(plugin(bundle={"inline": bundle}, approver=approver))

    def slowly(request):
        until(ends)
        return approved()(request)

    services.approver.answer = slowly
    reply = gateway.call(HR)
    assert len(services.approver.seen) == 1, "it ended before anybody was asked: make it last longer"
    assert reply.status in (403, 503), reply.status
    expect_only(services)
