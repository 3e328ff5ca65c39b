"""A small OpenID Connect provider on the loopback: real discovery, keys, PKCE, RS256 and ES256 tokens, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT_ID = "guardsite-tests"
CLIENT_SECRET = "of-tests-only"


@dataclass
class OidcProvider:
    """Signs in as `person` whoever comes, without asking. The other fields bend what it answers."""

    person: dict[str, Any] = field(default_factory=dict)  # claims: sub, email, email_verified
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)  # put over the honest ones; None takes a claim away
    discovery: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None  # answered in place of the person's claims
    thin_token: bool = False  # e-mail only at the userinfo endpoint
    forge: bool = False  # signs with a key that it does not publish
    remembers: bool = False  # ignores max_age, as a provider that does not ask again
    refuses: bool = False
    requests: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keys: dict[str, Any] = {
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
        }
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """No longer answers."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, body: str, authorization: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of one request."""
        parts = urlsplit(target)
        given = {key: values[0] for key, values in parse_qs(body if method == "POST" else parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            return 200, {}, self._discovery()
        if parts.path == "/keys":
            return 200, {}, {"keys": [self._public("RS256"), self._public("ES256")]}
        if parts.path == "/authorize":
            return self._authorize(given)
        if parts.path == "/token" and method == "POST":
            return self._token(given)
        if parts.path == "/userinfo" and authorization == "Bearer access":
            return 200, {}, self.person if self.userinfo is None else self.userinfo
        return 404, {}, {}

    def _discovery(self) -> dict[str, Any]:
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        return honest | self.discovery

    def _public(self, algorithm: str) -> dict[str, Any]:
        kind = jwt.algorithms.get_default_algorithms()[algorithm]
        key: dict[str, Any] = json.loads(kind.to_jwk(self._keys[algorithm].public_key()))
        return key | {"kid": algorithm, "use": "sig", "alg": algorithm}

    def _authorize(self, given: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        self.requests.append(given)
        if given.get("client_id") != CLIENT_ID or given.get("response_type") != "code":
            return 400, {}, {"error": "invalid_request"}
        answer = {"error": "access_denied"} if self.refuses else {"code": secrets.token_urlsafe(16)}
        if "code" in answer:
            self._codes[answer["code"]] = given
        location = given["redirect_uri"] + "?" + urlencode(answer | {"state": given["state"]})
        return 302, {"Location": location}, {}

    def _token(self, given: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["redirect_uri"] != given.get("redirect_uri")
            or asked.get("code_challenge") != base64.urlsafe_b64encode(challenge).decode().rstrip("=")
            or (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET)
        ):
            return 400, {}, {"error": "invalid_grant"}
        return 200, {}, {"access_token": "access", "token_type": "Bearer", "id_token": self._id_token(asked)}

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked.get("nonce")}
        if "max_age" in asked:
            claims["auth_time"] = now - 3600 if self.remembers else now
        claims |= {"sub": self.person["sub"]} if self.thin_token else self.person
        claims = {key: value for key, value in (claims | self.claims).items() if value is not None}
        key = self._keys[self.algorithm]
        if self.forge:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": self.algorithm})


def _handler(provider: OidcProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, headers, answer = provider.answer(method, self.path, body, self.headers.get("Authorization", ""))
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (
                {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._reply("GET")

        def do_POST(self) -> None:
            self._reply("POST")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing."""

    return Handler
