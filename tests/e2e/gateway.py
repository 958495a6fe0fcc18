"""A guarded gateway for tests: Envoy with the filter, the services around it, and what a test may expect of any answer."""

from __future__ import annotations

import calendar
import copy
import hashlib
import json
import os
import re
import ssl
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Union

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "demo"))

import people
import stack
from told import untold
from wire import Answer, Http1, Request, Response, Server, answer_json, chunked, head_of

# name: header and prefix of the credential that the upstream of this name wants.
UPSTREAMS = {
    "cohere": ("authorization", "Bearer "),
    "jina": ("api-key", ""),  # as Pinecone wants it
    "tei": ("authorization", "ApiKey "),  # as Elastic wants it
    "vllm": ("authorization", "Bearer "),
    "h2": ("authorization", "Bearer "),
}
SECRETS = {name: people.secret(name) for name in UPSTREAMS}
# What the upstream of this name has to see in its header.
CREDENTIALS = {name: (header, prefix + SECRETS[name]) for name, (header, prefix) in UPSTREAMS.items()}
ENVIRONMENT = {f"{name.upper()}_SECRET": value for name, value in SECRETS.items()}

BUNDLE: dict = {
    "schema": "rerank-guard/v1",
    "bundle": {"id": "e2e", "serial": 7},
    "groups": {"analysts": ["grp-search", "grp-bi"], "contractors": ["grp-contractors"]},
    "credentials": {name: {} for name in UPSTREAMS},
    "masks": {"pii": {"detect": ["email", "phone", "iban", "credit_card", "us_ssn", "ip_address"], "replace": "[{kind}]"}},
    "approvals": {"hr-desk": {"groups": ["grp-hr-leads"], "min": 2, "ttl": "10m"}},
    "rules": [
        {"id": "no-contractors-in-hr", "deny": {"groups": ["contractors"], "datasets": ["hr-*"]}},
        {"id": "mask-pii", "guard": {"datasets": ["web-*", "hr-*"]}, "require": {"masks": ["pii"]}},
        {"id": "hr-asks", "guard": {"datasets": ["hr-*"]}, "require": {"approval": "hr-desk"}, "limits": {"documents": 10}},
        *(
            {
                "id": f"analysts-{name}",
                "allow": {"groups": ["analysts"], "models": [models], "datasets": ["web-*", "hr-*", "raw-*"], "operations": ["rerank"]},
                "limits": {"documents": 20, "top_n": 10, "query_bytes": 200},
                "use": name,
            }
            for name, models in {"cohere": "rerank-*", "jina": "jina-*", "tei": "BAAI/*", "vllm": "mxbai-*", "h2": "h2-*"}.items()
        ),
    ],
}

# What tests call the gateway by; clients that make their own Host call it by its address.
ORIGINS = ["http://gateway.example", "http://127.0.0.1:*"]
ROUTES = [
    {"path": "/cohere/{dataset}/v1/rerank", "dialect": "cohere-v1", "dataset": {"segment": "dataset"},
     "documents_name": {"dataset": "dataset"}, "clusters": ["cohere"], "credentials": ["cohere"]},
    {"path": "/cohere/{dataset}/v2/rerank", "dialect": "cohere-v2", "dataset": {"segment": "dataset"}, "clusters": ["cohere"], "credentials": ["cohere"]},
    {"path": "/jina/{dataset}/v1/rerank", "dialect": "jina", "dataset": {"segment": "dataset"}, "clusters": ["jina"], "credentials": ["jina"]},
    {"path": "/tei/{dataset}/rerank", "dialect": "tei", "dataset": {"segment": "dataset"}, "model": "BAAI/bge-reranker-v2-m3",
     "clusters": ["tei"], "credentials": ["tei"]},
    {"path": "/vllm/{dataset}/v1/rerank", "dialect": "vllm", "dataset": {"segment": "dataset"}, "clusters": ["vllm"], "credentials": ["vllm"]},
    {"path": "/h2/{dataset}/v2/rerank", "dialect": "cohere-v2", "dataset": {"segment": "dataset"}, "clusters": ["h2"], "credentials": ["h2"]},
    {"path": "/tenants/{dataset}/v1/rerank", "dialect": "cohere-v1", "dataset": {"segment": "dataset"}, "tenant": {"header": "x-tenant"},
     "documents_name": {"dataset": "dataset", "tenant": "tenant"}, "clusters": ["cohere"], "credentials": ["cohere"]},
    {"path": "/by-document/v1/rerank", "dialect": "cohere-v1", "dataset": {"document": "dataset"}, "clusters": ["cohere"], "credentials": ["cohere"]},
    {"path": "/by-header/v1/rerank", "dialect": "cohere-v1", "dataset": {"header": "x-dataset"}, "clusters": ["cohere"], "credentials": ["cohere"]},
]

MODELS = {"cohere": "rerank-v3.5", "jina": "jina-reranker-v2", "tei": None, "vllm": "mxbai-rerank-v2", "h2": "h2-rerank"}
COHERE = "/cohere/web-docs/v2/rerank"
HR = "/cohere/hr-reviews/v2/rerank"
LIMITS = {"request_bytes": 64 << 10, "response_bytes": 128 << 10, "record_bytes": 128 << 10}
BUFFER_BYTES = 256 << 10


def plugin(**changes: Any) -> dict:
    """The plugin configuration; `changes` replace its members, None takes one out."""
    whole = {
        "gateway": people.GATEWAY,
        "bundle": {"inline": BUNDLE},
        "callers": {"issuers": [{
            "issuer": people.ISSUER, "audiences": [people.AUDIENCE],
            "keys": {"jwks": {"cluster": "idp", "authority": "idp.example", "path": "/jwks.json", "timeout": "1s"}},
        }]},
        "origins": ORIGINS,
        "routes": ROUTES,
        "pass": [{"method": "GET", "path": "/healthz"}],
        "approver": {"cluster": "approver", "authority": "approver.internal", "path": "/v1/approvals", "timeout": "1s", "wait": "500ms",
                     "issuer": people.APPROVER, "key": people.APPROVAL.jwk},
        "credentials": {
            name: {"env": f"{name.upper()}_SECRET", "header": header, "prefix": prefix} for name, (header, prefix) in UPSTREAMS.items()
        },
        "limits": LIMITS,
    }
    return copy.deepcopy({name: value for name, value in {**whole, **changes}.items() if value is not None})


def body(**changes: Any) -> dict:
    """A good Cohere v2 body; `changes` replace its members, None takes one out."""
    whole = {"model": "rerank-v3.5", "query": "who wrote it", "documents": ["one", "two"], "top_n": 2, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def results(*scores: float) -> dict:
    """A good Cohere v2 answer."""
    return {"id": "r-1", "results": [{"index": at, "relevance_score": score} for at, score in enumerate(scores)], "meta": {}}


def good_results(_request: Request) -> Answer:
    return answer_json(results(0.9, 0.1))


class Services:
    """What stands behind a gateway: upstreams, the identity provider, the approver."""

    def __init__(self) -> None:
        self.upstreams = {name: Server(f"the upstream {name}", good_results, h2=name == "h2") for name in UPSTREAMS}
        self.idp = Server("the identity provider", lambda _: answer_json(people.jwks(people.RSA, people.EC)))
        self.approver = Server("the approver", pending)

    def everyone(self) -> list[Server]:
        return [*self.upstreams.values(), self.idp, self.approver]

    def fresh(self) -> "Services":
        for server in self.everyone():
            server.fresh()
        return self

    def close(self) -> None:
        for server in self.everyone():
            server.close()


def pending(_request: Request) -> Answer:
    return answer_json({"status": "pending", "id": "ap-1", "url": "https://approver.example/a/ap-1", "retry_after": 7}, 202)


def approved(**receipt: Any) -> Callable[[Request], Answer]:
    """An approver that approves, with a receipt that may be wrong."""
    return lambda request: answer_json({"status": "approved", "id": "ap-1", "receipt": people.receipt(request.json(), **receipt)})


def whole(services: Services, configuration: Union[Mapping, str], wasm: Path, more: Iterable[dict] = (),
          stream_idle_timeout: str = "60s", names: Iterable[str] = ENVIRONMENT) -> dict:
    """Envoy's configuration with the filter before `services`; `more` are clusters beside theirs, `names` what the filter may read of
    the environment."""
    clusters = [
        *(stack.cluster(name, server.port, h2=server.h2) for name, server in services.upstreams.items()),
        stack.cluster("idp", services.idp.port), stack.cluster("approver", services.approver.port), *more,
    ]
    connect = {"match": {"connect_matcher": {}},
               "route": {"cluster": "cohere", "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}}
    routes = [
        connect,
        *(stack.route(f"/{name}", name) for name in UPSTREAMS),
        stack.route("/tenants", "cohere"),
        *(stack.straight(prefix, "cohere") for prefix in ("/by-document", "/by-header", "/")),
    ]
    guard = stack.wasm_filter(configuration, wasm, f"e2e-{uuid.uuid4().hex[:8]}", names)
    return stack.envoy_config(
        filters=[guard], routes=routes, clusters=clusters, buffer_bytes=BUFFER_BYTES, upgrades=["websocket", "CONNECT"],
        stream_idle_timeout=stream_idle_timeout)


class Gateway:
    """Envoy with the filter. `call` sends a call and waits for its line in the access log. `shape` edits Envoy's configuration before
    it starts; `tls` is what calls present themselves with where its listener speaks TLS."""

    def __init__(self, services: Services, configuration: Union[Mapping, str, None] = None, *, wasm: Optional[Path] = None,
                 ready: bool = True, clusters: Iterable[dict] = (), stream_idle_timeout: str = "60s",
                 shape: Callable[[dict], None] = lambda _: None, tls: Optional[ssl.SSLContext] = None, **options: Any):
        self.services = services
        configuration = plugin() if configuration is None else configuration
        config = whole(services, configuration, wasm or stack.module(), clusters, stream_idle_timeout, options.get("env", ENVIRONMENT))
        shape(config)
        self.tls = tls
        self.envoy = self._start(config, options)
        self.port = self.envoy.port
        self._lines = self._scanned_log = self._scanned_output = 0
        self._in_order = True
        try:
            if ready:
                self.until_ready()
            self._sent_before = self._sent()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _start(config: dict, options: dict) -> stack.Envoy:
        return stack.Envoy(config, **{"env": ENVIRONMENT, "component_log_level": "wasm:debug", **options})

    def begin(self) -> None:
        """A new test begins: services forget, and what Envoy has sent and logged so far does not count."""
        self.services.fresh()
        if not self._in_order:
            self.drain()
        self._in_order = False
        self._sent_before = self._sent()

    def end(self) -> None:
        """A test ends: Envoy lives, nothing sensitive was logged, and every stream's line was looked at."""
        assert self.envoy.ended() is None, "Envoy ended"
        assert self.leaks() == [], "sensitive data in Envoy's log or access log"
        assert self.lines_nobody_took() == 0, "streams left lines that the test did not look at"
        self._in_order = True

    def watched(self) -> "Iterator[Gateway]":
        """Itself for one test, with a look at what the test left."""
        self.begin()
        yield self
        self.end()

    def until_ready(self) -> None:
        """Waits until tokens can be verified: a call that is refused for its body, and no longer for want of keys."""
        deadline = time.monotonic() + 20
        while (reply := self.call(body={"no": "call"})).status != 422:
            assert reply.status == 503 and time.monotonic() < deadline, f"not ready: {reply.status} {reply.body!r}"

    def call(self, path: str = COHERE, *, body: Any = None, token: Optional[str] = "", headers: Iterable[tuple] = (),
             method: str = "POST", encode: bool = True, transfer: str = "length", logged: bool = True, tls: Optional[ssl.SSLContext] = None) -> "Reply":
        """One call over a connection of its own, and its line in the access log. `token` is a good one unless said otherwise;
        None sends none. `transfer`: `length`, `chunked`, `none`."""
        with Http1(self.port, tls or self.tls) as client:
            client.send(self.request(path, body=body, token=token, headers=headers, method=method, encode=encode, transfer=transfer))
            reply = Reply(client.response())
        if logged:
            reply.line = self.next_line()
        return reply

    @staticmethod
    def request(path: str = COHERE, *, body: Any = None, token: Optional[str] = "", headers: Iterable[tuple] = (),
                method: str = "POST", encode: bool = True, transfer: str = "length") -> bytes:
        """The bytes of a call."""
        content = globals()["body"]() if body is None else body
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        token = people.token() if token == "" else token
        every: list[tuple] = [("host", "gateway.example"), *headers]
        if token is not None:
            every.append(("authorization", f"Bearer {token}"))
        if not any(str(name).lower() == "content-type" for name, _ in every):
            every.append(("content-type", "application/json"))
        if transfer == "none":
            return head_of(f"{method} {path} HTTP/1.1", every)
        framing = ("content-length", str(len(content))) if transfer == "length" else ("transfer-encoding", "chunked")
        return head_of(f"{method} {path} HTTP/1.1", [*every, framing]) + (content if transfer == "length" else chunked(content))

    def next_line(self) -> dict:
        """The next line of the access log that no test has taken yet."""
        self._lines += 1
        line = self.envoy.wait(lambda: self.envoy.log_lines()[self._lines - 1 : self._lines], "line in the access log")[0]
        # Whatever a test is about: its records say what the schema tells of, and nothing else.
        for record in line["record"]:
            assert not (found := untold(record)), found
        return line

    def sent(self) -> int:
        """How many requests Envoy has sent to upstreams in this test, by Envoy's own count."""
        return self._sent() - self._sent_before

    def _sent(self) -> int:
        return sum(self.envoy.stat(f"cluster.{name}.upstream_rq_total") for name in UPSTREAMS)

    def drain(self) -> None:
        """Takes the lines of streams that Envoy's codec refused; whether there are any is its own affair."""
        self.call("/no-such-path", method="PATCH", token=None, logged=False)
        while True:
            record = self.next_line()["record"]
            if record and record[0]["call"]["method"] == "PATCH":
                return

    def lines_nobody_took(self) -> int:
        """How many lines of the access log no test has looked at."""
        return len(self.envoy.log_lines()) - self._lines

    def leaks(self) -> list[str]:
        """What is new in the log and the access log and should not stand there."""
        output, log = self.envoy.output, (self.envoy.directory / "access.log")
        lines = log.read_text() if log.exists() else ""
        new = output[self._scanned_output:] + lines[self._scanned_log:]
        self._scanned_output, self._scanned_log = len(output), len(lines)
        return people.leaks(new)

    def close(self) -> None:
        self.envoy.stop()

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# What more stands in a changeable gateway's environment: secrets that are none, and one that Envoy does not hand over.
NO_SECRETS = {"EMPTY": "", "SHORT": "short", "BLANK": "with a blank inside", "TAB": "with\ttab-inside", "UMLAUT": "umlaut-s\u00e4cret"}
WITHHELD = {"WITHHELD": people.secret("nobody")}


class Changeable(Gateway):
    """A gateway that takes new configurations while it runs: its listener stands in a file that Envoy watches."""

    def __init__(self, services: Services, configuration: Optional[Mapping] = None, **options: Any):
        self._directory = tempfile.TemporaryDirectory(prefix="rerank-guard-e2e-")
        self._listener: dict = {}
        self._pushed = 0
        self.name = people.GATEWAY
        super().__init__(services, configuration, **options)

    def _start(self, config: dict, options: dict) -> stack.Envoy:
        directory = Path(self._directory.name)
        self._listener = config["static_resources"].pop("listeners")[0]
        vm = self._config()["vm_config"]
        vm["environment_variables"]["host_env_keys"].extend(NO_SECRETS)
        self._write()
        config["node"] = {"id": "e2e", "cluster": "e2e"}
        config["dynamic_resources"] = {"lds_config": {"path_config_source": {"path": str(directory / "listener.json")}}}
        return super()._start(config, {**options, "env": {**ENVIRONMENT, **NO_SECRETS, **WITHHELD}, "directory": directory})

    def _config(self) -> dict:
        manager = self._listener["filter_chains"][0]["filters"][0]["typed_config"]
        return manager["http_filters"][0]["typed_config"]["config"]

    def _write(self) -> None:
        """Envoy looks at the file when it is replaced, never when half of it is written."""
        self._pushed += 1
        listener = {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", **self._listener}
        directory = Path(self._directory.name)
        (directory / "next.json").write_text(json.dumps({"version_info": str(self._pushed), "resources": [listener]}))
        os.replace(directory / "next.json", directory / "listener.json")

    def push(self, configuration: Union[Mapping, str]) -> tuple[bool, str]:
        """Whether Envoy takes the plugin configuration, and what it says to it in its log."""
        said = len(self.envoy.output)
        counts = [f"listener_manager.lds.update_{how}" for how in ("success", "rejected")]
        before = [self.envoy.stat(name) for name in counts]
        self._config()["configuration"]["value"] = configuration if isinstance(configuration, str) else json.dumps(configuration)
        self._write()
        after = self.envoy.wait(lambda: now if (now := [self.envoy.stat(name) for name in counts]) != before else None, "answer to an update")
        return after[0] > before[0], self.envoy.output[said:]

    def change(self, configuration: Optional[Mapping] = None) -> "Changeable":
        """Serves under a good configuration from now on. The gateway has a name of its own in each, which tells when it has
        come to the workers."""
        name = f"{people.GATEWAY}-{self._pushed}"
        accepted, said = self.push({**(configuration or plugin()), "gateway": name})
        assert accepted, said
        self.name = name
        deadline = time.monotonic() + 20
        while self.call(token=None).record["gateway"] != name:
            assert time.monotonic() < deadline, "the new configuration does not come to the worker"
        self.until_ready()
        self.services.fresh()
        self._sent_before = self._sent()
        return self

    def renew(self, configuration: Mapping) -> None:
        """Pushes a configuration of the same gateway, and waits until every worker serves under it: a route that is new in it tells."""
        path = f"/pushed-{self._pushed}"
        mark = {**ROUTES[1], "path": f"{path}/{{dataset}}/v2/rerank"}
        accepted, said = self.push({**configuration, "routes": [*configuration["routes"], mark]})
        assert accepted, said
        deadline = time.monotonic() + 20
        while set(self.together(self.request(f"{path}/web-docs/v2/rerank", token=None))) != {401}:
            assert time.monotonic() < deadline, "the new configuration does not come to the workers"

    def together(self, *requests: bytes) -> list[int]:
        """The statuses of calls over connections that are open at once, one request each or the same for two: they land on both
        workers."""
        requests = requests if len(requests) > 1 else requests * 2
        clients = [Http1(self.port) for _ in requests]
        try:
            for client, request in zip(clients, requests):
                client.send(request)
            statuses = [client.response().status for client in clients]
        finally:
            for client in clients:
                client.close()
        self.last_lines = [self.next_line() for _ in statuses]
        return statuses

    def close(self) -> None:
        super().close()
        self._directory.cleanup()


class Reply(Response):
    """A response with the line it left in the access log."""

    def __init__(self, response: Response):
        super().__init__(**response.__dict__)
        self.line: dict = {}

    @property
    def record(self) -> dict:
        """The audit record; there must be one."""
        assert len(self.line["record"]) == 1, f"no record: {self.line}"
        return self.line["record"][0]


# ---- what may be expected ------------------------------------------------------------------------------------------------

def expect_problem(reply: Reply, status: int, code: str, reason: Optional[str] = None) -> dict:
    """A refusal in the form of the design, told the same way by answer and record; gives the problem."""
    assert (reply.status, reply.one("content-type")) == (status, "application/problem+json"), f"{reply.status} {reply.body[:300]!r}"
    problem = reply.json()
    assert problem["type"].endswith(f":{code}"), problem
    assert problem["status"] == status
    for member in ("title", "detail", "decision_id", "message"):
        assert problem[member] and isinstance(problem[member], str), f"{member}: {problem}"
    assert problem["decision_id"] in problem["message"] and problem["detail"] in problem["message"]
    assert reply.one("content-length") == str(len(reply.body))
    assert people.leaks(reply.body.decode()) == []
    challenges = reply.all("www-authenticate")
    assert bool(challenges) == (status == 401), challenges
    for challenge in challenges:
        expect_challenge(challenge)
    # No token, no error (RFC 6750, section 3.1): then either scheme will do.
    assert len(challenges) < 2 or not any("error=" in challenge for challenge in challenges), challenges
    if status == 503:
        assert int(reply.one("retry-after") or 0) > 0
    record = reply.record
    assert record["decision_id"] == problem["decision_id"]
    assert record["result"]["outcome"] == code, record["result"]
    assert record["result"]["status"] == status == reply.line["envoy"]["code"]
    if reason:
        assert record["result"]["reason"] == reason, record["result"]
    expect_record(record)
    return problem


# Allowed by the policy, and withheld because it cannot be carried out on this route.
WITHHELD_ANYWAY = ("credential-not-for-route", "cluster-not-for-route", "cluster-changed", "no-cluster", "route-closed", "force-impossible",
                   "request-too-large")


def expect_refused(gateway: Gateway, reply: Reply, status: int, code: str, reason: Optional[str] = None) -> dict:
    """A refusal of which no upstream saw anything."""
    problem = expect_problem(reply, status, code, reason)
    expect_nothing_sent(gateway)
    assert reply.record["credential"] is None
    assert reply.record["result"]["upstream"] is reply.record["result"]["upstream_status"] is None
    # A policy may allow what the gateway then withholds; nothing else may be recorded as allowed and be refused.
    decision, result = reply.record["decision"], reply.record["result"]
    assert decision["effect"] in ("deny", "approval") or result["reason"] in WITHHELD_ANYWAY, (decision, result)
    return problem


def expect_challenge(challenge: str) -> None:
    """One challenge as RFC 9110, section 11.6.1, writes it, of RFC 6750 or RFC 9449."""
    parameter = r'[a-z_]+="[^"\\]*"'
    assert re.fullmatch(f"(Bearer|DPoP) {parameter}(, {parameter})*", challenge), challenge
    scheme, parameters = challenge.split(" ", 1)
    named = dict(re.findall(r'([a-z_]+)="([^"]*)"', parameters))
    assert named["realm"] == "rerank-guard"
    assert named.get("error") in (None, "invalid_request", "invalid_token", "invalid_dpop_proof"), challenge
    assert ("algs" in named) == (scheme == "DPoP") and set(named) <= {"realm", "error", "algs"}, challenge
    assert scheme == "DPoP" or named.get("error") != "invalid_dpop_proof", challenge


def expect_nothing_sent(gateway: Gateway) -> None:
    for name, server in gateway.services.upstreams.items():
        assert server.seen == [], f"the upstream {name} saw a request"
    assert gateway.sent() == 0, "Envoy sent something upstream"


def expect_served(reply: Reply, status: int = 200) -> dict:
    """A call that went through; gives its record."""
    assert reply.status == status, f"{reply.status} {reply.body[:300]!r}"
    record = reply.record
    result = record["result"]
    assert result["outcome"] == "served" and result["status"] == status
    # What was served is an upstream's: the record and Envoy's own word on the stream agree.
    assert (result["upstream"], result["upstream_status"], reply.line["envoy"]["details"]) == ("answered", status, "via_upstream"), reply.line
    assert result["reason"] == ("ok" if status < 300 else f"upstream-{status // 100}xx")
    if reply.one("transfer-encoding") != "chunked":
        assert reply.one("content-length") == str(len(reply.body))
    expect_record(record)
    return record


def expect_seen(server: Server, name: str, target: str, content: Any, *, caller: Optional[str] = None) -> Request:
    """Exactly one request at the upstream: the caller's, under the gateway's credential and without the caller's."""
    assert len(server.seen) == 1
    seen = server.seen[0]
    assert (seen.method, seen.target) == ("POST", target)
    assert seen.body == (content if isinstance(content, bytes) else json.dumps(content).encode())
    header, value = CREDENTIALS[name]
    assert seen.all(header) == [value]
    if header != "authorization":
        assert seen.all("authorization") == []
    everything = b"\n".join(key + b": " + content for key, content in seen.headers).decode("latin-1")
    if caller:
        assert caller not in everything, "the caller's token reached the upstream"
    assert "eyJ" not in everything, "a token reached the upstream"
    assert not [key for key, _ in seen.headers if key.startswith(b"x-rerank-guard")]
    assert seen.one("accept-encoding") in (None, "identity")
    return seen


def expect_record(record: dict) -> None:
    """What every record has."""
    assert record["v"] == 1 and record["type"] == "call"
    assert re.fullmatch(f"{people.GATEWAY}(-[0-9]+)?", record["gateway"]), record["gateway"]
    assert abs(time.time() - calendar.timegm(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S"))) < 300
    assert record["policy"]["id"] == "e2e" and record["policy"]["serial"] == 7 and len(record["policy"]["sha256"]) >= 64
    assert record["decision"]["effect"] in ("allow", "deny", "approval", "pass")
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]+", record["peer"]), record["peer"]
    assert isinstance(record["seq"], int) and record["chain"] and record["hash"].startswith("sha256:")


def expect_chain(lines: Iterable[bytes]) -> dict[str, int]:
    """Checks the hash chains of access log lines as any verifier could, and gives each chain's length."""
    chains: dict[str, list[bytes]] = {}
    for line in lines:
        text = line[len(b'{"record":['): line.rindex(b'],"envoy":')]
        chains.setdefault(json.loads(text)["chain"], []).append(text)
    for name, records in chains.items():
        previous = None
        for number, text in enumerate(sorted(records, key=lambda text: json.loads(text)["seq"])):
            record = json.loads(text)
            assert (record["seq"], record["prev"]) == (number, previous), f"{name}: record {number} does not follow"
            sealed = text[: text.rindex(b',"hash":"')] + b"}"
            assert record["hash"] == "sha256:" + hashlib.sha256(b"rerank-guard/record/v1\n" + sealed).hexdigest(), f"{name}: {number}"
            previous = record["hash"]
    return {name: len(records) for name, records in chains.items()}
