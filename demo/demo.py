"""The guarded call on loopback: `make demo` tells it step by step and stops everything; `make run` (`--stay`) keeps it up.

It runs `envoy/full.yaml` as it is shipped; only addresses and the module's path are replaced.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import stack

ISSUER = "https://idp.example"
APPROVER = "https://approver.example"
GATEWAY = "demo/full"
KEYS = ["COHERE_API_KEY", "JINA_API_KEY", "TEI_API_KEY", "VLLM_API_KEY"]
TOOLS = Path(os.environ.get("RERANK_GUARD_TOOLS") or stack.ROOT / "target" / "debug")

DOCUMENTS = [
    "Parental leave: write to ann.miller@example.org or call +1 415 555 2671 to apply.",
    "The cafeteria opens at eight and closes at three.",
    "Leave is paid for twelve weeks; expenses go to card 4111 1111 1111 1111.",
]


class Stack:
    """Issuer, upstream, approver and Envoy with the filter, all on free ports of loopback."""

    def __init__(self) -> None:
        binary = stack.existing("RERANK_GUARD_DEMO", TOOLS / "rerank-guard-demo", "no demo programs: build them with `make tools`")
        self.secrets = {name: f"demo-{secrets.token_hex(16)}" for name in KEYS}
        accepted = [part for name in KEYS for part in ("--credential-env", name)]
        self.issuer = stack.Service(binary, "issuer", "--issuer", ISSUER)
        self.upstream = stack.Service(binary, "upstream", "--control", "127.0.0.1:0", *accepted, env=self.secrets)
        key = stack.ROOT / "demo" / "approver-key.json"
        self.approver = stack.Service(binary, "approver", "--gateway", GATEWAY, "--issuer", APPROVER, "--key-file", str(key))
        environment = {**self.secrets, "AUDIT_DIGEST_KEY": secrets.token_hex(16)}
        self.envoy = stack.Envoy(self._configuration(), env=environment)
        self.url = self.envoy.url

    def _configuration(self) -> str:
        """`envoy/full.yaml` on loopback."""
        return stack.shipped("full.yaml", {
            "address: 0.0.0.0, port_value: 10000": "address: 127.0.0.1, port_value: 0",
            "address: 127.0.0.1, port_value: 9901": "address: 127.0.0.1, port_value: 0",
            "address: upstream, port_value: 8001": f"address: 127.0.0.1, port_value: {self.upstream.port}",
            "address: issuer, port_value: 8002": f"address: 127.0.0.1, port_value: {self.issuer.port}",
            "address: approver, port_value: 8003": f"address: 127.0.0.1, port_value: {self.approver.port}",
            "http://127.0.0.1:8003": f"http://{self.approver.address}",
            "filename: /etc/envoy/rerank_guard.wasm": f"filename: {json.dumps(str(stack.module()))}",
            "path: /dev/stdout": "path: access.log",
        })

    def token(self, sub: str, *groups: str, ttl_s: int = 3600, audience: str = "rerank-guard") -> str:
        wanted = {"sub": sub, "groups": list(groups), "aud": audience, "ttl_s": ttl_s}
        return request(self.issuer.address, "POST", "/token", wanted).json["access_token"]

    def wait_for_keys(self) -> None:
        """Envoy is ready before the filter has fetched its keys; until then calls get 503."""
        token = self.token("probe")
        deadline = time.monotonic() + 20
        while call(self, "/tei/web-docs/rerank", {}, token).status == 503:
            if time.monotonic() > deadline:
                raise stack.StackError("the filter got no keys within 20 s:\n" + "\n".join(self.envoy.output.splitlines()[-8:]))
            time.sleep(0.05)

    def record(self, decision_id: str) -> dict:
        """The audit record of one call, from Envoy's access log."""
        def found() -> dict:
            for line in self.envoy.log_lines():
                for record in line["record"]:
                    if record["decision_id"] == decision_id:
                        return record
            return {}

        return self.envoy.wait(found, f"audit record of {decision_id}")

    def last_record(self, known: int) -> dict:
        """The first record after the `known` ones."""
        lines = self.envoy.wait(lambda: self.envoy.log_lines()[known:], "audit record")
        return lines[0]["record"][0]

    def stop(self) -> None:
        for program in (self.envoy, self.approver, self.upstream, self.issuer):
            program.stop()


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self) -> dict:
        return json.loads(self.body)


def request(address: str, method: str, path: str, body: object = None, headers: "dict | None" = None) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"content-type": "application/json", **(headers or {})})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def call(up: Stack, path: str, body: object, token: "str | None") -> Answer:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return request(urlsplit(up.url).netloc, "POST", path, body, headers)


def tell(up: Stack) -> bool:
    """The scenario. True if every step went as it should."""
    rerank = {"model": "BAAI/bge-reranker-large", "query": "how do I apply for parental leave", "documents": DOCUMENTS}
    cohere = {"model": "rerank-v3.5", "query": rerank["query"], "documents": DOCUMENTS, "top_n": 2}
    ann = up.token("ann", "grp-search-analysts")
    good = True

    def step(title: str, path: str, body: object, token: "str | None", expected: int) -> Answer:
        nonlocal good
        known = len(up.envoy.log_lines())
        answer = call(up, path, body, token)
        record = up.last_record(known)
        good &= answer.status == expected
        print(f"\n{BOLD}{title}{PLAIN}\n  POST {path}")
        print(f"  {answer.status}{'' if answer.status == expected else f' (expected {expected})'}  {shorten(answer.body)}")
        print(f"  record: {summary(record)}")
        return answer

    print(f"Envoy with rerank-guard at {up.url}; every line below is a real call.")
    step("1. allowed: an analyst ranks web documents (Cohere v2)", "/cohere/web-docs/v2/rerank", cohere, ann, 200)
    seen = json.loads(request(up.upstream.said["control"], "GET", "/_seen").body)
    names = sorted({name for name, _ in seen[-1]["headers"]})
    print(f"  the upstream saw: {seen[-1]['method']} {seen[-1]['path']}, headers {', '.join(names)}")
    sent = {secret for name, secret in seen[-1]["headers"] if name == "authorization"}
    good &= len(sent) == 1 and ann not in json.dumps(seen)
    print("  its authorization was the gateway's own credential; the caller's token never left")
    masked = step("2. masked: the answer repeats documents, their personal data does not leave (vLLM)", "/vllm/web-docs/v1/rerank", rerank, ann, 200)
    good &= b"ann.miller" not in masked.body and b"4111" not in masked.body
    step("3. 401: no token", "/cohere/web-docs/v2/rerank", cohere, None, 401)
    step("4. 401: a token for another audience", "/cohere/web-docs/v2/rerank", cohere, up.token("ann", "grp-search-analysts", audience="billing"), 401)
    step("5. 403: somebody whom no rule allows", "/cohere/web-docs/v2/rerank", cohere, up.token("bob", "grp-marketing"), 403)
    step("6. 403: more documents than any rule allows", "/cohere/web-docs/v2/rerank", {**cohere, "documents": DOCUMENTS * 400}, ann, 403)
    pending = step("7. approval: regulated data needs a human", "/cohere/hr-reviews/v2/rerank", cohere, ann, 403)
    approval = pending.json.get("approval_id")
    for person in ("lea", "sam"):
        decision = {"approve": True, "sub": person, "groups": ["grp-hr-leads"], "reason": "INC-42"}
        answer = request(up.approver.address, "POST", f"/v1/approvals/{approval}/decide", decision)
        print(f"  {person} approves {approval}: {answer.status}")
    step("8. approved: the same call again", "/cohere/hr-reviews/v2/rerank", cohere, ann, 200)
    step("9. consumed: a receipt serves once; the next call waits again", "/cohere/hr-reviews/v2/rerank", cohere, ann, 403)
    counters = [line for line in up.envoy.admin("/stats?filter=rerank_guard").splitlines() if line]
    print(f"\n{BOLD}Envoy's counters{PLAIN}")
    for line in counters:
        print(f"  {line}")
    return good


def summary(record: dict) -> str:
    actor, call, result = record["actor"] or {}, record["call"], record["result"]
    parts = [
        f"seq {record['seq']}", record["decision"]["effect"], f"reason {result['reason']}", f"rules {record['decision']['rules']}",
        f"caller {actor.get('sub')}", f"model {call.get('model')}", f"dataset {call.get('dataset')}",
    ]
    if record["credential"]:
        parts.append(f"credential {record['credential']}")
    if record["approval"]:
        parts.append(f"approval {record['approval']['id']} by {record['approval']['approvers']}")
    if result["masks"]:
        parts.append("masked " + ", ".join(f"{found['count']} {found['kind']}" for found in result["masks"]))
    return ", ".join(parts)


def shorten(body: bytes, most: int = 300) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) <= most else text[:most] + " …"


def stay(up: Stack) -> None:
    """Keeps the stack up and prints what to paste."""
    analyst, contractor = up.token("ann", "grp-search-analysts", ttl_s=8 * 3600), up.token("carl", "grp-contractors", ttl_s=8 * 3600)
    print(f"""base URL    {up.url}/cohere/web-docs    (also /jina/…, /tei/…, /vllm/…; datasets: web-docs, hr-reviews)
admin       http://{up.envoy.admin_address}

GATEWAY={up.url}
APPROVER=http://{up.approver.address}
RECORDS={up.envoy.directory / 'access.log'}
ANALYST={analyst}
CONTRACTOR={contractor}

curl -s "$GATEWAY/cohere/web-docs/v2/rerank" -H "authorization: Bearer $ANALYST" -H 'content-type: application/json' \\
  -d '{{"model": "rerank-v3.5", "query": "parental leave", "documents": ["Leave is paid for twelve weeks.", "The cafeteria opens at eight."]}}'

pip install cohere
import cohere
client = cohere.ClientV2(api_key="{analyst}", base_url="{up.url}/cohere/web-docs")
print(client.rerank(model="rerank-v3.5", query="parental leave", documents=["Leave is paid for twelve weeks.", "The cafeteria opens at eight."]))

Ctrl-C stops it all.""", flush=True)
    threading.Event().wait()


BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--stay", action="store_true", help="keep the stack up")
    chosen = arguments.parse_args()
    stack.end_on_signals()
    try:
        up = Stack()
        try:
            up.wait_for_keys()
            if chosen.stay:
                stay(up)
                return 0
            good = tell(up)
        finally:
            up.stop()
    except stack.StackError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    print("\nEverything is stopped." if good else "\nSomething did not go as it should; see above.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
