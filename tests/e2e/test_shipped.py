"""The configurations in `envoy/` as people copy them: they serve and refuse with the demo's programs around them, and Envoy itself says
(`/config_dump`) that everything is set that keeps the guard closed."""

import hashlib
import json
import time
from urllib.parse import urlsplit

import demo
import people
import pytest
import stack

MINIMAL, FULL = "minimal.yaml", "full.yaml"
QUERY, DOCUMENTS = "how do I apply for parental leave", [f"Parental leave: write to {people.EMAIL}.", "The cafeteria opens at eight."]
CALLS = {
    MINIMAL: ("/rerank", "/rerank", {"query": QUERY, "texts": DOCUMENTS, "return_text": True}, "UPSTREAM_API_KEY"),
    FULL: ("/jina/web-docs/v1/rerank", "/v1/rerank",
           {"model": "jina-reranker-v2-base-multilingual", "query": QUERY, "documents": DOCUMENTS, "return_documents": True}, "JINA_API_KEY"),
}


class Minimal(demo.Stack):
    """As the demo's stack, with the smaller configuration."""

    def _configuration(self) -> str:
        return stack.shipped(MINIMAL, {
            "port_value: 10000}": "port_value: 0}",
            "port_value: 9901": "port_value: 0",
            "port_value: 10001": f"port_value: {self.upstream.port}",
            "port_value: 10002": f"port_value: {self.issuer.port}",
            "filename: target/wasm32-wasip1/release/rerank_guard.wasm": f"filename: {json.dumps(str(stack.module()))}",
            "path: /dev/stdout": "path: access.log",
        })


@pytest.fixture(scope="module", params=[MINIMAL, FULL])
def shipped(request):
    """The stack around a shipped configuration, and the configuration's name."""
    try:
        stack.existing("RERANK_GUARD_DEMO", demo.TOOLS / "rerank-guard-demo", "no demo programs: build them with `make tools`")
    except stack.StackError as missing:
        pytest.skip(str(missing))
    with pytest.MonkeyPatch.context() as patch:
        if request.param == MINIMAL:
            patch.setattr(demo, "KEYS", ["UPSTREAM_API_KEY"])
        up = (Minimal if request.param == MINIMAL else demo.Stack)()
    yield up, request.param
    up.stop()


def called(up, path, body, token):
    """An answer and its line in the access log."""
    known = len(up.envoy.log_lines())
    answer = demo.call(up, path, body, token)
    return answer, up.envoy.wait(lambda: up.envoy.log_lines()[known:], "line in the access log")[0]


def seen(up):
    return json.loads(demo.request(up.upstream.said["control"], "GET", "/_seen").body)


def test_an_allowed_call_is_served_and_masked_under_the_upstreams_credential(shipped):
    up, name = shipped
    path, target, body, secret = CALLS[name]
    token = up.token("ann", "grp-search-analysts")
    before = len(seen(up))
    while (got := called(up, path, body, token))[0].status == 503:
        assert got[1]["record"][0]["result"]["reason"] == "no-keys-yet"
        time.sleep(0.02)
    answer, line = got
    assert answer.status == 200, answer.body
    assert people.EMAIL.encode() not in answer.body and b"[email]" in answer.body
    record = line["record"][0]
    assert (record["result"]["outcome"], record["actor"]["sub"], record["call"]["dataset"]) == ("served", "ann", "web-docs")
    assert set(line) == {"record", "envoy"} and set(line["envoy"]) == {"code", "flags", "details", "stream", "log"}
    requests = seen(up)[before:]
    assert [(one["method"], one["path"]) for one in requests] == [("POST", target)]
    # The demo's upstream tells digests of credentials, so that nobody reads them there.
    digest = "sha256:" + hashlib.sha256(f"Bearer {up.secrets[secret]}".encode()).hexdigest()
    assert [value for header, value in requests[0]["headers"] if header == "authorization"] == [digest]


@pytest.mark.parametrize("header", ["api_key", "x_tenant", "content_type", "Authorization_"])
def test_a_header_with_an_underscore_is_refused_by_envoy(shipped, header):
    up, name = shipped
    path, _, body, _ = CALLS[name]
    before = len(seen(up))
    headers = {"authorization": f"Bearer {up.token('ann', 'grp-search-analysts')}", header: "1"}
    known = len(up.envoy.log_lines())
    assert demo.request(urlsplit(up.url).netloc, "POST", path, body, headers).status == 400
    line = up.envoy.wait(lambda: up.envoy.log_lines()[known:], "line in the access log")[0]
    assert line["envoy"]["code"] == 400
    assert len(seen(up)) == before


REFUSED = {
    "without a token": (None, None, 401),
    "for a group that no rule names": ("grp-marketing", None, 403),
    "to a path that is not listed": ("grp-search-analysts", "/other", 404),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_call_is_refused(shipped, what):
    up, name = shipped
    group, other, status = REFUSED[what]
    path, _, body, _ = CALLS[name]
    before = len(seen(up))
    while (got := called(up, other or path, body, up.token("bob", group) if group else None))[0].status == 503:
        time.sleep(0.02)
    answer, line = got
    assert (answer.status, line["record"][0]["result"]["status"]) == (status, status), answer.body
    assert len(seen(up)) == before


# ---- what Envoy has loaded -----------------------------------------------------------------------------------------------

@pytest.fixture
def loaded(shipped):
    """The listener and its HTTP connection manager, as Envoy has read them."""
    dump = json.loads(shipped[0].envoy.admin("/config_dump?resource=static_listeners"))
    listener = dump["configs"][0]["listener"]
    (chain,) = listener["filter_chains"]
    return listener, chain["filters"][0]["typed_config"]


@pytest.fixture
def wasm(loaded):
    """The filter's configuration; after it comes only what holds Envoy's route, and the router."""
    guard, held, router = loaded[1]["http_filters"]
    rules = {"action": "ALLOW", **held["typed_config"]["rules"]}
    assert (held["name"], rules) == (stack.HELD["name"], stack.HELD["typed_config"]["rules"])
    assert router["typed_config"]["suppress_envoy_headers"] is True
    assert not guard.get("is_optional") and not guard.get("disabled"), "Envoy may leave the filter out"
    return guard["typed_config"]["config"]


def seconds(span):
    return float(span.removesuffix("s"))


def test_headers_are_held_and_a_trapped_module_is_made_anew(wasm):
    assert wasm["allow_on_headers_stop_iteration"] is True
    assert wasm["failure_policy"] == "FAIL_RELOAD" and not wasm.get("fail_open")
    assert wasm["vm_config"]["vm_id"] and wasm["vm_config"]["runtime"] == "envoy.wasm.runtime.v8"
    assert not wasm["vm_config"].get("allow_precompiled")


def test_every_stream_ends_and_every_buffer_is_larger_than_the_filters_limits(loaded, wasm):
    listener, manager = loaded
    # Only the idle timeout ends a stream whose module is gone: `request_timeout` counts until a request has come whole.
    assert 0 < seconds(manager["stream_idle_timeout"]) <= 300 and 0 < seconds(manager["request_timeout"]) <= 300
    for host in manager["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            assert 0 < seconds(route["route"]["timeout"]) <= 300, route["match"]
    limits = json.loads(wasm["configuration"]["value"]).get("limits", {"request_bytes": 1 << 20, "response_bytes": 4 << 20})
    assert listener["per_connection_buffer_limit_bytes"] > max(limits.values())


def test_the_sandbox_is_that_of_the_other_tests(wasm):
    allowed = wasm["vm_config"]["capability_restriction_config"]["allowed_capabilities"]
    assert set(allowed) == {*stack.EVENTS, *stack.HOST_CALLS}
    assert "proxy_set_effective_context" in allowed


def test_the_line_of_the_access_log_is_that_of_the_other_tests(loaded):
    (log,) = loaded[1]["access_log"]
    assert "filter" not in log, "some streams would leave no line"
    form = log["typed_config"]["log_format"]
    assert form == {"omit_empty_values": True, "text_format_source": {"inline_string": stack.LOG_LINE}}


def test_secrets_come_from_the_environment_and_each_is_handed_over(shipped, wasm):
    up, _ = shipped
    plugin = json.loads(wasm["configuration"]["value"])
    named = {credential["env"] for credential in plugin["credentials"].values()}
    if "audit" in plugin:
        named.add(plugin["audit"]["digest_key_env"])
    assert set(wasm["vm_config"]["environment_variables"]["host_env_keys"]) == named
    assert "key_values" not in wasm["vm_config"]["environment_variables"], "a secret in the configuration shows in its dump"
    shown = up.envoy.admin("/config_dump") + up.envoy.output
    assert not [name for name, secret in up.secrets.items() if secret in shown]
