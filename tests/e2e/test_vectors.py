"""Signatures of Wycheproof, judged in real Envoy as those of tokens are: RSA and the curves by the host, Ed25519 by the library in the
module. `cargo test` judges the same vectors by the library, and both have to say what Wycheproof says."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
import stack
from wire import Http1, head_of

SHARED = Path(os.environ.get("RERANK_GUARD_SHARED") or stack.ROOT.parent / "shared") / "data" / "jwt"
AT_ONCE = 40


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(text):
    digits = text.removeprefix("00") if len(text) > 2 else text
    return b64(bytes.fromhex(digits))


def corpus(name):
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no Wycheproof vectors at {path}")
    return json.loads(path.read_text())["testGroups"]


@pytest.fixture(scope="module")
def judge(standard_services):
    """Asks the module for its verdicts."""
    from gateway import Gateway

    wasm = stack.existing("RERANK_GUARD_TRAP_WASM", stack.ROOT / "target/wasm32-wasip1/trap/rerank_guard.wasm", "no module for tests: build it with `make trap`")
    with Gateway(standard_services, wasm=wasm) as gateway:
        def ask(vectors):
            verdicts = []
            for start in range(0, len(vectors), AT_ONCE):
                body = json.dumps(vectors[start:start + AT_ONCE]).encode()
                with Http1(gateway.port) as client:
                    client.send(head_of("POST /vectors HTTP/1.1", [("host", "x"), ("x-test-vectors", "1"), ("content-length", str(len(body)))]) + body)
                    response = client.response()
                assert response.status == 200, response.body
                verdicts += response.json()
            assert len(verdicts) == len(vectors)
            return verdicts

        yield ask


def rsa_jwk(group):
    key = group["publicKey"]
    return {"kty": "RSA", "n": number(key["modulus"]), "e": number(key["publicExponent"])}


def ec_jwk(group):
    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    return {"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}


@pytest.mark.parametrize("name, alg, jwk_of, count", [
    ("rsa_signature_2048_sha256_test.json", "RS256", rsa_jwk, 259),
    ("ecdsa_secp256r1_sha256_p1363_test.json", "ES256", ec_jwk, 262),
    ("ed25519_test.json", "EdDSA", lambda group: group["publicKeyJwk"], 151),
])
def test_every_signature_of_wycheproof_is_judged_as_it_says(judge, name, alg, jwk_of, count):
    tests = [(group, test) for group in corpus(name) for test in group["tests"]]
    assert len(tests) == count
    verdicts = judge([
        {"alg": alg, "jwk": jwk_of(group), "text": b64(bytes.fromhex(test["msg"])), "signature": b64(bytes.fromhex(test["sig"]))}
        for group, test in tests
    ])
    for (group, test), verdict in zip(tests, verdicts):
        # A key with the exponent 3 is never taken.
        weak = alg == "RS256" and int(group["publicKey"]["publicExponent"], 16) != 65537
        assert verdict == ("key" if weak else test["result"] == "valid"), f"{test['tcId']} {test['comment']}: {verdict}"


def test_signatures_that_the_host_cannot_judge_are_left_to_the_library(judge):
    groups = corpus("rsa_pss_2048_sha256_mgf1_32_test.json")
    verdicts = judge([
        {"alg": "PS256", "jwk": rsa_jwk(group), "text": b64(bytes.fromhex(test["msg"])), "signature": b64(bytes.fromhex(test["sig"]))}
        for group in groups for test in group["tests"]
    ])
    assert set(map(str, verdicts)) == {"None"} and len(verdicts) == 108


def test_every_key_set_of_wycheproof_is_judged_as_it_says(judge):
    tests = []
    for group in corpus("json_web_key_test.json"):
        keys = group.get("public") or group["private"]
        keys = keys if "keys" in keys else {"keys": [keys]}
        tests += [(keys, test) for test in group["tests"]]
    verdicts = judge([{"jwks": keys, "jws": test["jws"]} for keys, test in tests])
    for (keys, test), verdict in zip(tests, verdicts):
        symmetric = all(key["kty"] == "oct" for key in keys["keys"])
        assert (verdict is True) == (test["result"] == "valid" and not symmetric), f"{test['tcId']} {test['comment']}: {verdict}"
