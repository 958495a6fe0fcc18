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
from gateway import (COHERE, HR, ROUTES, SECRETS, approved, body, expect_nothing_sent, expect_problem, expect_refused, expect_served,
                     plugin)
from test_workers import expect_keys_on_both
from wire import Answer, Http1, Http2, Response, head_of

OURS = "gateway.example"
PREFIX = {"prefix": "/cohere/"}
V1, HR_V1 = "/cohere/web-docs/v1/rerank", "/cohere/hr-reviews/v1/rerank"


def manager(config):
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def lead(to, match=None, **route):
    """A route that leads calls to Cohere's path to a cluster."""
    return {"match": {**PREFIX, **(match or {})}, "route": {**({"cluster": to} if to else {}), "timeout": "15s", **route}}


def header(name, **how):
    return {"headers": [{"name": name, **how}]}


def weights(*names):
    return {"weighted_clusters": {"clusters": [{"name": name, "weight": 1} for name in names]}}


TO_JINA_WHEN_RED = lead("jina", header("x-team", string_match={"exact": "red"}))
# How Envoy leads a call to Cohere's path elsewhere, each in a virtual host of its own, and what headers it takes.
ELSEWHERE = {
    "by virtual host": ([lead("jina")], []),
    "by a header": ([TO_JINA_WHEN_RED, lead("cohere")], [("x-team", "red")]),
    "by the absence of a header": ([lead("jina", header("x-team", present_match=False)), lead("cohere")], []),
    "by a runtime fraction": ([lead("jina", {"runtime_fraction": {"default_value": {"numerator": 100}}}), lead("cohere")], []),
    "by a cluster header": ([lead(None, cluster_header="x-cluster")], [("x-cluster", "jina")]),
    "by weights": ([lead(None, **weights("jina", "vllm"))], []),
}
# To Cohere while the caller's headers are there, and elsewhere once they are ours.
CHANGING = {
    "with the caller's token": header("authorization", string_match={"prefix": "Bearer ey"}),
    "with our credential": header("authorization", string_match={"contains": SECRETS["cohere"]}, invert_match=True),
    "with accept-encoding": header("accept-encoding", string_match={"exact": "gzip"}),
    "with a header that comes off": header("cookie", present_match=True),
}
NOBODY = {"without such a cluster": ([lead("nobody")], []), "by a direct response": ([{"match": PREFIX, "direct_response": {"status": 200}}], []),
          "without a cluster header": ([lead(None, cluster_header="x-cluster")], []),
          "by a header that names no cluster": ([lead(None, cluster_header="x-cluster")], [("x-cluster", "zzz")]),
          "nowhere": ([{"match": {"prefix": "/none"}, "route": {"cluster": "cohere"}}], [])}
REDIRECTS = {"max_internal_redirects": 3, "redirect_response_codes": [302, 303, 307, 308], "allow_cross_scheme_redirect": True}
HOSTS = {
    **{how: routes for how, (routes, _) in ELSEWHERE.items()},
    **{how: [lead("cohere", match), lead("jina")] for how, match in CHANGING.items()},
    **{how: routes for how, (routes, _) in NOBODY.items()},
    "both": [lead(None, **weights("cohere", "vllm"))],
    "teams": [lead("vllm", header("x-team", string_match={"exact": "red"})), lead("cohere")],
    "redirects": [lead("cohere", internal_redirect_policy=REDIRECTS), {"match": {"prefix": "/"}, "route": {"cluster": "jina"}}],
}


def host_of(what):
    return f"{what.replace(' ', '-').replace(chr(39), '')}.example"


def shaped(config):
    """Envoy with a virtual host for each."""
    manager(config)["route_config"]["validate_clusters"] = False
    manager(config)["route_config"]["virtual_hosts"].extend(
        {"name": what, "domains": [host_of(what)], "routes": routes} for what, routes in HOSTS.items())


def configuration():
    """Cohere's calls go to one cluster, in its first version to either of two."""
    routes = [{**route, "clusters": ["cohere", "vllm"]} if route["path"].endswith("{dataset}/v1/rerank") and "cohere" in route["path"] else route
              for route in copy.deepcopy(ROUTES)]
    return plugin(routes=routes, origins=["http://gateway.example", *(f"http://{host_of(what)}" for what in HOSTS)])


@pytest.fixture(scope="module")
def envoy_that_leads():
    services = harness.Services()
    with harness.Gateway(services, configuration(), shape=shaped) as gateway:
        yield gateway
    services.close()


@pytest.fixture
def leading(envoy_that_leads):
    """A gateway whose Envoy leads calls elsewhere, by the host that they address."""
    yield from envoy_that_leads.watched()


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


def expect_only(services, *names):
    """No upstream saw anything but these, and nowhere but at Cohere's is its secret."""
    for name, server in services.upstreams.items():
        assert name in names or server.seen == [], f"the upstream {name} saw a request"
        assert name == "cohere" or SECRETS["cohere"] not in str(server.seen), f"the upstream {name} saw Cohere's secret"


# ---- clusters ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ELSEWHERE)
def test_a_call_that_envoy_leads_to_another_cluster_goes_nowhere(leading, how):
    for path in (COHERE, HR):
        reply = send(leading, path, host_of(how), ELSEWHERE[how][1])
        expect_refused(leading, reply, 403, "forbidden", "cluster-not-for-route")
        assert reply.record["cluster"] in ("jina", "vllm") and leading.services.approver.seen == [], "nobody is asked in vain"
    assert expect_served(send(leading))["cluster"] == "cohere"
    expect_only(leading.services, "cohere")


@pytest.mark.parametrize("how", CHANGING)
def test_a_call_whose_route_changes_with_our_own_edits_goes_nowhere(leading, how):
    for _ in range(3):
        reply = send(leading, host=host_of(how), headers=[("accept-encoding", "gzip"), ("cookie", "a=b")])
        expect_refused(leading, reply, 403, "forbidden", "cluster-changed")
        assert reply.record["cluster"] == "jina"
    expect_only(leading.services)


def test_without_the_filter_behind_an_answer_from_elsewhere_does_not_leave_and_no_second_call_goes_there(services, start):
    def shape(config):
        shaped(config)
        manager(config)["http_filters"] = [one for one in manager(config)["http_filters"] if one["name"] != stack.HELD["name"]]

    gateway = start(configuration(), shape=shape)
    services.fresh()
    host = host_of("with the caller's token")
    reply = send(gateway, host=host)
    expect_problem(reply, 502, "unmaskable-response", "wrong-cluster")
    assert reply.record["cluster"] == "jina" and reply.record["credential"] == "cohere", "the record does not hide it"
    for _ in range(3):
        expect_problem(send(gateway, host=host), 503, "not-ready", "route-closed")
    assert len(services.upstreams["jina"].seen) == 1
    assert expect_served(send(gateway, V1))["cluster"] == "cohere", "another route is not concerned"


def test_of_weighted_clusters_all_have_to_be_listed_and_the_chosen_one_is_recorded(leading):
    upstreams = leading.services.upstreams
    upstreams["vllm"].answer = harness.good_results
    replies = [send(leading, V1, host_of("both")) for _ in range(20)]
    chosen = Counter(expect_served(reply)["cluster"] for reply in replies)
    seen = {name: len(upstreams[name].seen) for name in ("cohere", "vllm")}
    assert seen == dict(chosen) and all(seen.values())

    for server in upstreams.values():
        server.fresh()
    replies = [send(leading, COHERE, host_of("both")) for _ in range(20)]
    assert {(reply.status, reply.record["cluster"]) for reply in replies} == {(200, "cohere"), (403, "vllm")}
    expect_only(leading.services, "cohere")
    assert len(upstreams["cohere"].seen) == [reply.status for reply in replies].count(200)


@pytest.mark.parametrize("how", NOBODY)
def test_a_call_without_a_cluster_goes_nowhere(leading, how):
    for path in (COHERE, HR):
        expect_refused(leading, send(leading, path, host_of(how), NOBODY[how][1]), 503, "not-ready", "no-cluster")
    assert leading.services.approver.seen == []


def test_with_two_workers_no_call_reaches_another_cluster(services, start):
    gateway = start(configuration(), shape=shaped, concurrency=2)
    expect_keys_on_both(gateway)
    services.fresh()
    red = host_of("by a header")
    kinds = [(red, [], 200), (red, [("x-team", "red")], 403), (host_of("by virtual host"), [], 403),
             (host_of("with our credential"), [], 403), ("third.example", [], 421)]

    def client(number):
        for call in range(10):
            with Http1(gateway.port) as connection:
                host, headers, status = kinds[(number + call) % len(kinds)]
                content = json.dumps(body()).encode()
                every = [("host", host), *headers, ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
                         ("content-length", str(len(content)))]
                connection.send(head_of(f"POST {COHERE} HTTP/1.1", every) + content)
                yield connection.response().status == status, host

    with ThreadPoolExecutor(6) as pool:
        for results in pool.map(lambda number: list(client(number)), range(6)):
            assert all(is_right for is_right, _ in results), results
    expect_only(services, "cohere")
    assert len(services.upstreams["cohere"].seen) == 6 * 10 // len(kinds)


@pytest.mark.parametrize("status", [302, 303, 307, 308])
def test_an_upstream_that_redirects_takes_the_credential_nowhere(leading, status):
    """Envoy follows the redirect by itself, with the request as the filter made it: it comes here again, and proves nobody."""
    services, host = leading.services, host_of("redirects")
    for place in ("/jina/web-docs/v1/rerank", "/healthz", "/nowhere"):
        services.fresh()
        location = [("location", f"http://{host}{place}")]
        services.upstreams["cohere"].answer = lambda request: Answer(status=status, headers=location)
        content = json.dumps(body()).encode()
        with Http1(leading.port) as client:
            client.send(head_of(f"POST {COHERE} HTTP/1.1", [
                ("host", host), ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"),
                ("content-length", str(len(content)))]) + content)
            assert client.response().status != 0
        leading.drain()
        for name, server in services.upstreams.items():
            assert SECRETS["cohere"] not in str(server.seen[1:] if name == "cohere" else server.seen), f"the upstream {name} saw the credential"


def test_an_approval_is_for_one_authority_and_one_cluster(leading):
    teams = host_of("teams")
    for host, headers in [(teams, []), (f"{teams.upper()}:80", []), (OURS, []), (teams, [("x-team", "red")])]:
        expect_problem(send(leading, HR_V1, host, headers), 403, "approval-required")
    asked = [request.json()["request_digest"] for request in leading.services.approver.seen]
    assert asked[0] == asked[1] and len(set(asked)) == 3


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


def test_the_upstream_is_sent_its_own_name_whatever_callers_write(changeable):
    cohere = changeable.services.upstreams["cohere"]
    routes = [{**route, "host": "api.example:8443"} for route in ROUTES]
    changeable.change(plugin(routes=routes))
    expect_served(send(changeable))
    assert cohere.seen[0].all("host") == ["api.example:8443"]

    changeable.change(plugin(routes=routes, origins=None, **{"pass": None}))
    record = expect_served(send(changeable, host="whatever.example"))
    assert cohere.seen[-1].all("host") == ["api.example:8443"]
    assert record["call"]["authority"] is None, "what a caller chose is not recorded"
    before = len(cohere.seen)
    for host in ("a@b", "a,b"):
        assert send(changeable, host=host).status in (400, 421)
    assert len(cohere.seen) == before


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


def test_a_token_that_expires_while_people_are_asked_is_refused(changeable):
    approver = {**plugin()["approver"], "timeout": "20s", "wait": "500ms"}
    gateway, services = changeable.change(plugin(approver=approver)), changeable.services
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
