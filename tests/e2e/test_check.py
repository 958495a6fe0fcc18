"""What `rerank-guard check` refuses is dangerous in real Envoy: the configuration of these tests, with one setting more, is refused by
the tool, and without the tool something passes that must not."""

import json
import os
import subprocess
from pathlib import Path

import people
import pytest
import stack
from gateway import COHERE, MODELS, SECRETS, answer_json, body, results
from wire import METADATA, Http1, Http2, frames

TOOL = Path(os.environ.get("RERANK_GUARD_TOOLS") or stack.ROOT / "target" / "debug") / "rerank-guard"
OTHER_LOG = "other.log"


@pytest.fixture(scope="module", autouse=True)
def tool():
    if not TOOL.is_file():
        pytest.skip(f"no tool at {TOOL}: build it with `make tools`")


class Shaped:
    """Envoy's configuration with a change, kept as it was started."""

    def __init__(self, change):
        self._change, self.config = change, None

    def __call__(self, config):
        self._change(manager(config), config)
        self.config = json.loads(json.dumps(config))

    def refused(self):
        """What `check` refuses."""
        done = subprocess.run([TOOL, "check", "--output", "json", "--config", "-"], input=json.dumps(self.config), text=True, capture_output=True)
        told = json.loads(done.stdout)
        findings = [one["what"] for one in told["files"][0]["findings"]]
        assert done.returncode == bool(findings), done.stderr
        return findings


def manager(config):
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def cohere_route(manager):
    return next(one for one in manager["route_config"]["virtual_hosts"][0]["routes"] if one["match"].get("prefix") == "/cohere/")


def cluster(config, name):
    return next(one for one in config["static_resources"]["clusters"] if one["name"] == name)


def options(config, name):
    return cluster(config, name)["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]


def test_the_configuration_of_these_tests_is_not_refused(start):
    shaped = Shaped(lambda *_: None)
    start(shape=shaped)
    assert shaped.refused() == []


MIRROR = [{"cluster": "jina"}]
MIRRORS = {
    "at a route": lambda manager, _: cohere_route(manager)["route"].update(request_mirror_policies=MIRROR),
    "at the virtual host": lambda manager, _: manager["route_config"]["virtual_hosts"][0].update(request_mirror_policies=MIRROR),
    "at the table": lambda manager, _: manager["route_config"].update(request_mirror_policies=MIRROR),
    "at the cluster": lambda _, config: options(config, "cohere").update(request_mirror_policies=MIRROR),
}


@pytest.mark.parametrize("where", MIRRORS)
def test_a_mirror_gets_the_credential(services, start, where):
    shaped = Shaped(MIRRORS[where])
    gateway = start(shape=shaped)
    services.fresh()
    assert gateway.call().status == 200
    seen = services.upstreams["jina"].wait()
    assert SECRETS["cohere"] in str(seen.headers) and b"who wrote it" in seen.body
    assert "a copy of every call goes to another cluster, with the credential" in shaped.refused()


def test_a_filter_that_is_switched_off_lets_the_callers_token_through(services, start):
    off = {"envoy.filters.http.wasm": {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}}
    hold = {stack.HELD["name"]: off["envoy.filters.http.wasm"]}

    def change(manager, _):
        cohere_route(manager)["typed_per_filter_config"] = {**off, **hold}

    shaped = Shaped(change)
    gateway = start(shape=shaped, ready=False)
    token = people.token()
    with Http1(gateway.port) as client:
        client.send(gateway.request(COHERE, token=token))
        assert client.response().status == 200
    assert token in str(services.upstreams["cohere"].wait().headers)
    assert {"the filter is switched off for these calls", "the filter that holds Envoy's route is changed for these calls"} <= set(shaped.refused())


def test_an_upgrade_with_filters_of_its_own_goes_round(services, start):
    def change(manager, _):
        manager["upgrade_configs"] = [{"upgrade_type": "websocket", "filters": [manager["http_filters"][-1]]}]

    shaped = Shaped(change)
    gateway = start(shape=shaped, ready=False)
    services.fresh()
    token = people.token()
    with Http1(gateway.port) as client:
        client.send(gateway.request(COHERE, token=token, method="GET", transfer="none", headers=[("connection", "upgrade"), ("upgrade", "websocket")]))
        assert token in str(services.upstreams["cohere"].wait().headers)
    assert "upgraded requests go through filters of their own, without the guard" in shaped.refused()


NOTE = ("x-note", people.EMAIL)


@pytest.mark.parametrize("on", [False, True])
def test_interim_answers_pass_unmasked(services, start, on):
    shaped = Shaped(lambda manager, _: manager.update(proxy_100_continue=on))
    gateway = start(shape=shaped)
    services.upstreams["cohere"].answer = lambda _: answer_json(results(0.9, 0.1), interim=[NOTE])
    with Http1(gateway.port) as client:
        client.send(gateway.request())
        first = client.head()
        assert (first.status, first.one(NOTE[0])) == ((103, people.EMAIL) if on else (200, None))
    assert [what.startswith("interim answers") for what in shaped.refused()] == [True] * on


@pytest.mark.parametrize("on", [False, True])
def test_metadata_frames_pass_unmasked(services, start, on):
    def change(manager, config):
        manager["http2_protocol_options"]["allow_metadata"] = on
        options(config, "h2")["explicit_http_config"]["http2_protocol_options"]["allow_metadata"] = on

    shaped = Shaped(change)
    gateway = start(shape=shaped)
    services.upstreams["h2"].answer = lambda _: answer_json(results(0.9, 0.1), metadata=[NOTE])
    content = json.dumps(body(model=MODELS["h2"])).encode()
    with Http2(gateway.port) as client:
        stream = client.headers([
            (":method", "POST"), (":scheme", "http"), (":authority", "gateway.example"), (":path", "/h2/web-docs/v2/rerank"),
            ("authorization", f"Bearer {people.token()}"), ("content-type", "application/json"), ("content-length", str(len(content)))])
        client.data(stream, content, end=True)
        response = client.response(stream)
        passed = [content for kind, content in frames(client.received) if kind == METADATA]
    assert (len(passed), response.status if not on else 200) == (int(on), 200)
    assert sum(what.startswith("metadata frames pass") for what in shaped.refused()) == 2 * on


PRINTED = {
    "a header that a caller sends": "%REQ(authorization)%",
    "the environment": "%ENVIRONMENT(COHERE_SECRET)%",
}


@pytest.mark.parametrize("what", PRINTED)
def test_an_access_log_prints_the_credential(services, start, what):
    def change(manager, _):
        log = stack.file_log(OTHER_LOG)
        log["typed_config"]["log_format"] = {"text_format_source": {"inline_string": f"{PRINTED[what]}\n"}}
        manager["access_log"].append(log)

    shaped = Shaped(change)
    gateway = start(shape=shaped)
    assert gateway.call().status == 200
    log = gateway.envoy.directory / OTHER_LOG
    assert gateway.envoy.wait(lambda: SECRETS["cohere"] in log.read_text(), "line in the other log")
    assert len(shaped.refused()) == 1, shaped.refused()
