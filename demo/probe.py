"""One call that is allowed and one that is not, against a gateway that is up: `probe.py GATEWAY ISSUER`."""

import json
import sys
import time
import urllib.error
import urllib.request


def post(url: str, body: dict, token: str = "") -> "tuple[int, str]":
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()
    except OSError as error:
        return 0, str(error)


def until(wanted: int, url: str, body: dict, token: str = "") -> str:
    """The answer, once it has the wanted status; a stack that comes up refuses connections and has no keys at first."""
    deadline = time.monotonic() + 60
    while True:
        status, text = post(url, body, token)
        if status == wanted:
            return text
        if time.monotonic() > deadline:
            raise SystemExit(f"probe: {url} answers {status} instead of {wanted}: {text[:200]}")
        time.sleep(0.2)


def main() -> None:
    gateway, issuer = sys.argv[1:]
    wanted = {"sub": "ann", "groups": ["grp-search-analysts"], "aud": "rerank-guard", "ttl_s": 600}
    token = json.loads(until(200, f"{issuer}/token", wanted))["access_token"]
    call = {"model": "rerank-v3.5", "query": "leave", "documents": ["Leave is paid.", "Lunch is not."]}
    answer = until(200, f"{gateway}/cohere/web-docs/v2/rerank", call, token)
    assert json.loads(answer)["results"][0]["index"] == 0, answer
    until(401, f"{gateway}/cohere/web-docs/v2/rerank", call)
    print("probe: 200 with a token, 401 without")


if __name__ == "__main__":
    main()
