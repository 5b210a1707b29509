"""The issuer of the benchmark's tokens: RS256 with an RSA key of 2048 bits, published as a JWKS, as
identity providers have it by default (0238). All systems check tokens of the same key."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from benchmarks.prepared import COMPANY

ISSUER = "https://issuer.example"
AUDIENCE = "roadcall-payments"
_ALGORITHM = "RS256"
_KEY_ID = "bench-1"
_LIFETIME_S = 43_200


def token() -> str:
    """A token of a ``service`` caller."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "service-example",
        "role": "service",
        "company_id": COMPANY,
        "iat": now,
        "exp": now + _LIFETIME_S,
    }
    return jwt.encode(claims, _key(), algorithm=_ALGORITHM, headers={"kid": _KEY_ID})


def public_key() -> str:
    """What a reference checks them with, as PEM."""
    encoded = _key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


@contextlib.contextmanager
def published_keys() -> Iterator[str]:
    """The address of the key set while the block lasts."""
    with HTTPServer(("127.0.0.1", 0), _KeySet) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json"
        finally:
            server.shutdown()
            serving.join()


class _KeySet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        published = RSAAlgorithm.to_jwk(_key().public_key(), as_dict=True)
        key = {**published, "kid": _KEY_ID, "alg": _ALGORITHM, "use": "sig"}
        body = json.dumps({"keys": [key]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads them."""


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
