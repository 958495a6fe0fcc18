"""The same Envoy without the filter lets through what the other tests expect to be refused or dropped, so that it is the filter
that refuses and drops."""

import pytest
import stack
from gateway import BUFFER_BYTES, Gateway, good_results
from wire import Answer, Http1, Http2, Server, answer_json, head_of


@pytest.fixture(scope="module", params=["http1", "h2"])
def plain(request):
    server = Server("the upstream", good_results, h2=request.param == "h2")
    routes = [
        {"match": {"connect_matcher": {}}, "route": {"cluster": "up", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}},
        stack.route("/cohere", "up"), stack.straight("/", "up"),
    ]
    config = stack.envoy_config(filters=[], routes=routes, clusters=[stack.cluster("up", server.port, h2=server.h2)],
                                buffer_bytes=BUFFER_BYTES, upgrades=["websocket", "CONNECT"])
    with stack.Envoy(config) as envoy:
        yield envoy, server
    server.close()


def send(envoy, data):
    with Http1(envoy.port) as client:
        client.send(data)
        return client.response()


def test_a_call_with_all_its_oddities_goes_through(plain):
    envoy, server = plain
    server.fresh()
    headers = [("authorization", "Bearer a"), ("Authorization", "Bearer b"), ("x-note", b"caf\xa1"), ("api-key", "mine"),
               ("x-rerank-guard-subject", "root"), ("accept-encoding", "gzip"), ("content-encoding", "gzip")]
    response = send(envoy, Gateway.request("/cohere/web%2ddocs/v2/rerank?x=1", token=None, headers=headers, transfer="chunked"))
    assert response.status == 200
    seen = server.seen[0]
    assert (seen.method, seen.target) == ("POST", "/v2/rerank?x=1")
    assert ", ".join(seen.all("authorization")).replace(",", ", ").replace("  ", " ") == "Bearer a, Bearer b"
    assert seen.all("x-note") == ["caf\xa1"] and seen.all("api-key") == ["mine"] and seen.all("x-rerank-guard-subject") == ["root"]
    assert [name for name, _ in seen.headers if name.startswith(b"x-envoy")] == []


def test_trailers_go_through_both_ways(plain):
    envoy, server = plain
    server.fresh()
    server.answer = lambda _: answer_json({}, trailers=[("x-after", "1")])
    with Http2(envoy.port) as client:
        stream = client.headers([(":method", "POST"), (":scheme", "http"), (":path", "/cohere/x/y"), (":authority", "g"), ("te", "trailers")])
        client.data(stream, b"{}")
        client.trailers(stream, [("x-before", "1")])
        response = client.response(stream)
    assert response.whole and response.trailers == [(b"x-after", b"1")]
    assert server.seen[0].trailers == [(b"x-before", b"1")]
    server.fresh()
    with Http1(envoy.port) as client:
        data = Gateway.request("/cohere/x/y", transfer="chunked", token=None)
        client.send(data[:-2] + b"X-Before: 1\r\n\r\n")
        assert client.response().status == 200
    assert server.seen[0].trailers == [(b"x-before", b"1")]


@pytest.mark.parametrize("path", ["//", "/../x", "/%2e%2e/x", "/a;b", "/a\\b", "/?x"])
def test_odd_paths_go_through(plain, path):
    envoy, server = plain
    server.fresh()
    assert send(envoy, Gateway.request(path, token=None)).status == 200 and server.seen[0].target == path


@pytest.mark.parametrize("plain", ["http1"], indirect=True)
def test_an_upgrade_goes_through(plain):
    envoy, server = plain
    server.fresh()
    with Http1(envoy.port) as client:
        client.send(head_of("GET /cohere/x/y HTTP/1.1", [("host", "g"), ("connection", "upgrade"), ("upgrade", "websocket")]))
        assert server.wait().one("upgrade") == "websocket"


def test_connect_goes_through(plain):
    envoy, _ = plain
    before = envoy.stat("cluster.up.upstream_rq_total")
    with Http1(envoy.port) as client:
        client.send(head_of("CONNECT up.example:443 HTTP/1.1", [("host", "up.example:443")]))
        assert client.status() == 200
    assert envoy.stat("cluster.up.upstream_rq_total") == before + 1


@pytest.mark.parametrize("plain", ["http1"], indirect=True)
def test_an_answer_that_is_cut_off_shows(plain):
    envoy, server = plain
    server.fresh()
    server.answer = lambda _: answer_json({"a": "x" * 1000}, cut=500)
    response = send(envoy, Gateway.request("/cohere/x/y", token=None))
    assert response.status == 200 and not response.whole and b"xxx" in response.body


@pytest.mark.parametrize("plain", ["http1"], indirect=True)
def test_a_connection_that_is_reset_shows(plain):
    envoy, server = plain
    server.fresh()
    server.answer = lambda _: Answer(reset=True)
    assert send(envoy, Gateway.request("/cohere/x/y", token=None)).status == 503


def test_a_port_that_is_kept_refuses_until_it_is_opened():
    import socket
    server = Server("nobody", good_results, listening=False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    server.open()
    socket.create_connection(("127.0.0.1", server.port)).close()
    server.close(keep_port=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    server.close()


def test_a_program_that_ends_early_is_told_with_its_words():
    with pytest.raises(stack.Exited) as ended:
        stack.Envoy({"static_resources": {"no_such_field": 1}})
    assert ended.value.code != 0 and "no_such_field" in str(ended.value)
