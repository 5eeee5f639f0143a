"""A small OpenID Connect issuer: discovery, published keys, and tokens of any kind; a real HTTP server on loopback."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "predictkpi"


class Issuer:
    """``url`` is its name; `rotate` replaces its key; ``asked`` are the paths that were fetched."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False
        self.key: RSAKey | ECKey = RSAKey.generate_key(2048, {"kid": "one"})
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                if issuer.is_away:
                    self.send_error(503)
                    return
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_): ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realms/sales"

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("/.well-known/openid-configuration"):
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return KeySet([self.key]).as_dict(private=False)

    def rotate(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "two"})

    def token(self, *, key: RSAKey | None = None, **claims: Any) -> str:
        signing = key or self.key
        alg = {"RSA": "RS256", "EC": "ES256"}[signing.key_type]
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "exp": int(time.time()) + 600, "roles": ["viewer"]} | claims
        header = {"alg": alg, "kid": signing.kid}
        return jwt.encode(header, {name: value for name, value in told.items() if value is not None}, signing, algorithms=[alg])


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    threading.Thread(target=issuer.server.serve_forever, daemon=True).start()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()
