"""A real OpenID Connect provider (npm's `oidc-provider`): keys by discovery, access tokens of RFC 9068 for client credentials, tokens
bound to the key that the client proved at the token endpoint."""

from __future__ import annotations

import json
import shutil

import people
import pytest
import requests
import stack
from gateway import COHERE, Gateway, Services, body, expect_problem, expect_seen, expect_served, plugin
from requests_oauth2client import DPoPKey, DPoPToken
from test_dpop import hash_of

ISSUER = "https://idp.real"
HERE = stack.ROOT / "tests" / "oidc"
CLIENT_SECRET = people.secret("the client of the provider")


class Provider(stack.Program):
    def __init__(self):
        super().__init__("oidc-provider", ["node", HERE / "provider.mjs", ISSUER, people.AUDIENCE, CLIENT_SECRET])
        try:
            self.address = self.wait(self._ready, "line that says it is ready")
        except BaseException:
            self.stop()
            raise

    def _ready(self):
        lines = [line for line in self.output.splitlines() if line.startswith('{"ready"')]
        return json.loads(lines[0])["ready"] if lines else None

    def token(self, key=None):
        """An access token for client credentials; bound to `key` if one is given."""
        headers = {"host": "idp.real"}
        if key:
            headers["dpop"] = str(key.proof(htm="POST", htu=f"{ISSUER}/token"))
        wish = {"grant_type": "client_credentials", "client_id": "search-ui", "client_secret": CLIENT_SECRET}
        answer = requests.post(f"http://{self.address}/token", data=wish, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == ("DPoP" if key else "Bearer")
        return people.remembered(answer.json()["access_token"])


@pytest.fixture(scope="module")
def world():
    if shutil.which("node") is None:
        pytest.skip("no node: the real OpenID Connect provider does not run")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("tests/oidc is not installed: `make e2e` does it where npm is")
    services = Services()
    with Provider() as provider:
        configuration = plugin()
        configuration["callers"]["issuers"] = [{
            "issuer": ISSUER, "audiences": [people.AUDIENCE], "profile": "rfc9068",
            "keys": {"discovery": {"cluster": "provider", "authority": "idp.real", "timeout": "5s"}},
        }]
        port = int(provider.address.rsplit(":", 1)[1])
        with Gateway(services, configuration, ready=False, clusters=[stack.cluster("provider", port)]) as gateway:
            token = provider.token()
            while (reply := gateway.call(token=token)).status == 503:
                assert reply.record["result"]["reason"] == "no-keys-yet"
            yield gateway, provider
    services.close()


@pytest.fixture
def gateway(world):
    yield from world[0].watched()


@pytest.fixture
def provider(world):
    return world[1]


def test_a_client_with_credentials_of_its_own_is_served(gateway, provider):
    token = provider.token()
    actor = expect_served(gateway.call(token=token))["actor"]
    assert (actor["iss"], actor["sub"], actor["groups"], actor["proof"]) == (ISSUER, "search-ui", ["grp-search"], "bearer")
    expect_seen(gateway.services.upstreams["cohere"], "cohere", "/v2/rerank", body(), caller=token)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_client_that_proves_its_key_is_served_and_nobody_else_with_its_token(gateway, provider, alg):
    key = DPoPKey.generate(alg)
    token = provider.token(key)
    url = f"http://127.0.0.1:{gateway.port}{COHERE}"
    answer = requests.post(url, json=body(), auth=DPoPToken(access_token=token, _dpop_key=key), timeout=10)
    assert answer.status_code == 200, answer.text
    actor = gateway.next_line()["record"][0]["actor"]
    assert (actor["sub"], actor["proof"]) == ("search-ui", "dpop")
    expect_problem(gateway.call(token=token), 401, "unauthenticated", "dpop-sent-as-bearer")
    thief = DPoPKey.generate(alg)
    proof = thief.proof(htm="POST", htu=f"http://gateway.example{COHERE}", ath=hash_of(token))
    reply = gateway.call(token=None, headers=[("authorization", f"DPoP {token}"), ("dpop", str(proof))])
    expect_problem(reply, 401, "unauthenticated", "wrong-holder")
    assert gateway.sent() == 1
