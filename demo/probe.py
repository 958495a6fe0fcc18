"""Calls that are allowed, refused and approved, against a stack that is up: `probe.py GATEWAY ISSUER APPROVER` (URLs)."""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request

NOT_YET = (0, 503)
"""What a stack that comes up answers: nothing (0), or that this worker, each has its own, has no keys. Other answers are final."""

CALL = {"model": "rerank-v3.5", "query": "leave", "documents": ["Lunch is not.", "Leave is paid: ann.miller@example.org"]}


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    gateway, issuer, approver = sys.argv[1:]
    wanted = {"sub": "ann", "groups": ["grp-search-analysts"], "aud": "rerank-guard", "ttl_s": 600}
    token = expect(200, f"{issuer}/token", wanted)["access_token"]

    public = f"{gateway}/cohere/web-docs/v2/rerank"
    ranked = expect(200, public, CALL, token)["results"]
    if ranked[0]["index"] != 1:
        raise SystemExit(f"probe: the upstream did not rank: {ranked}")
    expect(401, public, CALL)
    expect(403, f"{gateway}/cohere/intranet/v2/rerank", CALL, token)
    print("probe: 200 with a token, 401 without, 403 where no rule allows")

    repeated = expect(200, f"{gateway}/vllm/web-docs/v1/rerank", {**CALL, "model": "BAAI/bge-reranker-large"}, token)
    if "ann.miller" in json.dumps(repeated) or "[email]" not in json.dumps(repeated):
        raise SystemExit("probe: the documents in the answer are not masked")
    print("probe: personal data in the answer is masked")

    regulated = f"{gateway}/cohere/hr-reviews/v2/rerank"
    pending = expect(403, regulated, CALL, token)
    told = pending.get("approval_url")
    if not told or not told.startswith(f"{approver}/"):
        raise SystemExit(f"probe: callers are told to open `{told}`, which is not at {approver}: {pending}")
    for person in ("lea", "sam"):
        word = {"approve": True, "sub": person, "groups": ["grp-hr-leads"], "reason": "INC-42"}
        expect(200, f"{approver}/v1/approvals/{pending['approval_id']}/decide", word)
    expect(200, regulated, CALL, token)
    expect(403, regulated, CALL, token)
    print("probe: 403 until two people approve, then 200, once")


def expect(wanted: int, url: str, body: dict, token: str = "") -> dict:
    """The answer to a POST, of the wanted status, by a stack that may still be coming up."""
    deadline = time.monotonic() + 60
    while True:
        status, text = post(url, body, token)
        if status not in NOT_YET or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    if status != wanted:
        raise SystemExit(f"probe: {url} answers {status} instead of {wanted}: {text[:300]}")
    return json.loads(text)


def post(url: str, body: dict, token: str) -> "tuple[int, str]":
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


if __name__ == "__main__":
    main()
