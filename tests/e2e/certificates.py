"""Certificates for tests, made anew for each run: an authority, the gateway's own, and clients' with the names a test wants."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Iterable, Optional

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificate:
    """A certificate and its key, as files in `directory`. Signed by `issuer`, or by itself."""

    def __init__(self, directory: Path, name: str, *, uris: Iterable[str] = (), dns: Iterable[str] = (), issuer: Optional["Certificate"] = None,
                 is_authority: bool = False, expired: bool = False):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        names = [*(x509.UniformResourceIdentifier(uri) for uri in uris), *(x509.DNSName(one) for one in dns)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name if issuer else self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=-1 if expired else 1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())
        self.path, self.key_path = directory / f"{name}.pem", directory / f"{name}.key"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.key_path.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    @property
    def thumbprint(self) -> str:
        """`x5t#S256` of RFC 8705, section 3.1."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def client(authority: Certificate, own: Optional[Certificate] = None) -> ssl.SSLContext:
    """A client that trusts `authority` and presents `own`."""
    context = ssl.create_default_context(cafile=str(authority.path))
    if own:
        context.load_cert_chain(own.path, own.key_path)
    return context


def listener(gateway: Certificate, **validation: object) -> dict:
    """Envoy's transport socket with the gateway's certificate. `validation`: how client certificates are judged, if there are any.
    Sessions are not resumed: Envoy does not verify certificates again then."""
    common: dict = {"tls_certificates": [{
        "certificate_chain": {"filename": str(gateway.path)}, "private_key": {"filename": str(gateway.key_path)},
    }], "validation_context": validation}
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": common,
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}
