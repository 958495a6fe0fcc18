"""Who calls and who approves: keys, tokens, receipts, and the list of what must never leak."""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from typing import Any, Iterable, Optional

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://idp.example"
APPROVER = "https://approver.example"
AUDIENCE = "rerank-guard"
GATEWAY = "e2e/rerank"

EMAIL = "ann.lee@example.com"
PHONE = "+49 30 901820"
CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"
SSN = "536-22-8726"
ADDRESS = "81.2.69.142"
PERSONAL = {"email": EMAIL, "phone": PHONE, "credit_card": CARD, "iban": IBAN, "us_ssn": SSN, "ip_address": ADDRESS}

# What must appear in no log, record, statistic or configuration dump, by the name a failing test may print.
SENSITIVE: dict[str, str] = {f"personal data ({kind})": value for kind, value in PERSONAL.items()}


def secret(name: str) -> str:
    """A new secret for an upstream."""
    value = f"{name}-{secrets.token_hex(12)}"
    SENSITIVE[f"the secret of {name}"] = value
    return value


class Key:
    """A signing key with its public JWK."""

    def __init__(self, kid: str, algorithm: str = "RS256"):
        self.kid, self.algorithm = kid, algorithm
        if algorithm.startswith("RS"):
            self.private: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            jwk = jwt.algorithms.OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        self.jwk = {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}

    def sign(self, claims: dict, **header: Any) -> str:
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.kid, **header})


RSA = Key("rsa-1")
EC = Key("ec-1", "ES256")
STRANGER = Key("rsa-1")
APPROVAL = Key("approver-1", "EdDSA")


def jwks(*keys: Key) -> dict:
    return {"keys": [key.jwk for key in keys]}


def claims(sub: str = "ann", groups: Iterable[str] = ("grp-search",), **changes: Any) -> dict:
    """The claims of a good token; a change of None leaves one out."""
    now = int(time.time())
    every = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "groups": list(groups), "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex}
    return {name: value for name, value in {**every, **changes}.items() if value is not None}


def token(*args: Any, key: Key = RSA, header: Optional[dict] = None, **changes: Any) -> str:
    return remembered(key.sign(claims(*args, **changes), **(header or {})))


def unsigned(header: dict, payload: dict, signature: str = "") -> str:
    """A token put together by hand."""
    def part(value: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return remembered(f"{part(header)}.{part(payload)}.{signature}")


def remembered(text: str) -> str:
    for part in ("payload", "signature"):
        value = text.split(".")[1 if part == "payload" else -1]
        if len(value) > 16:
            SENSITIVE[f"the {part} of token {len(SENSITIVE)}"] = value
    return text


def receipt(asked: dict, *, key: Key = APPROVAL, typ: str = "rerank-approval+jwt", approvers: Iterable[str] = ("lea", "sam"),
            groups: Iterable[str] = ("grp-hr-leads",), at: Optional[int] = 0, **changes: Any) -> str:
    """The approver's receipt for what it was asked; `at`: how many seconds from now the approvals were given, or at no time."""
    now = int(time.time())
    given = {} if at is None else {"at": now + at}
    every = {
        "iss": APPROVER, "aud": asked["gateway"], "sub": asked["requester"]["sub"], "requester_iss": asked["requester"]["iss"],
        "req": asked["request_digest"], "approval": asked["approval"],
        "apv": [{"sub": who, "iss": ISSUER, "groups": list(groups), "reason": "INC-42", **given} for who in approvers],
        "iat": now, "exp": now + 120, "jti": uuid.uuid4().hex,
    }
    return remembered(key.sign({name: value for name, value in {**every, **changes}.items() if value is not None}, typ=typ))


def leaks(text: str) -> list[str]:
    """The names of all sensitive things in `text`; never the things themselves."""
    return [name for name, value in list(SENSITIVE.items()) if value in text]
