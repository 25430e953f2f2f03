#!/usr/bin/env python3
"""Verifies IAM tokens as RDS does, on this machine.

It shares no code with rds-token, so that it doesn't repeat the program's errors: Signature
Version 4 is implemented below with the standard library only. The lab's servers send their
questions to a unix socket (verifier_client.h). Each verdict is one line of JSON in a log,
without tokens and secrets.

    verifier.py --self-test        checks itself with tests/data/tokens.json
"""

import asyncio
import hashlib
import hmac
import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Optional
from urllib.parse import quote, unquote

VECTORS = Path(__file__).resolve().parent.parent / "data" / "tokens.json"

MAX_LIFETIME = 900  # seconds; RDS refuses a longer lifetime
CLOCK_SKEW = timedelta(minutes=5)  # a signer's clock may be ahead by this time

REQUIRED = {
    "Action",
    "DBUser",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}
OPTIONAL = {"X-Amz-Security-Token"}

# Strict percent-encoding: no "+" for a space, no lower-case hex digits, no other raw character.
TOKEN = re.compile(r"([^/:?]+):([0-9]+)/\?(.+)")
PARAMETER = re.compile(r"([A-Za-z-]+)=((?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*)")
CREDENTIAL = re.compile(r"([A-Za-z0-9]+)/([0-9]{8})/([^/]+)/rds-db/aws4_request")
DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
SIGNATURE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    access_key_id: str
    secret_access_key: str
    session_token: Optional[str] = None


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int
    region: str


class Refusal(Exception):
    """A refused token. The text is the `reason` in the verdict."""


class Token:
    """A parsed token. Raises Refusal if the text is malformed."""

    def __init__(self, text):
        match = TOKEN.fullmatch(text) or refuse("malformed")
        self.host, self.port, query = match.groups()
        self.parameters = parse_query(query)
        scope = CREDENTIAL.fullmatch(self.parameters["X-Amz-Credential"]) or refuse("malformed")
        self.access_key_id, self.date, self.region = scope.groups()
        self.signed_at = parse_date(self.parameters["X-Amz-Date"])
        fixed = {
            "Action": "connect",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-SignedHeaders": "host",
        }
        if any(self.parameters[name] != value for name, value in fixed.items()):
            refuse("malformed")
        if not self.parameters["X-Amz-Date"].startswith(self.date):
            refuse("malformed")
        if not SIGNATURE.fullmatch(self.parameters["X-Amz-Signature"]):
            refuse("malformed")  # a truncated token


def refuse(reason):
    raise Refusal(reason)


def parse_query(query):
    pairs = [PARAMETER.fullmatch(pair) or refuse("malformed") for pair in query.split("&")]
    names = [pair[1] for pair in pairs]
    if len(names) != len(set(names)) or not REQUIRED <= set(names) <= REQUIRED | OPTIONAL:
        refuse("malformed")
    try:
        return {pair[1]: unquote(pair[2], errors="strict") for pair in pairs}
    except UnicodeDecodeError:
        refuse("malformed")


def parse_date(text):
    if not DATE.fullmatch(text):  # strptime also accepts "2024826T22000Z"
        refuse("malformed")
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        refuse("malformed")


def sign(token, secret):
    """Returns the correct signature of a token: SigV4 of a presigned GET of "/"."""
    encoded = (
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in token.parameters.items()
        if name != "X-Amz-Signature"
    )
    query = "&".join(f"{name}={value}" for name, value in sorted(encoded))
    host = f"host:{token.host}:{token.port}"
    request = f"GET\n/\n{query}\n{host}\n\nhost\n{sha256('')}"
    scope = f"{token.date}/{token.region}/rds-db/aws4_request"
    stamp = token.parameters["X-Amz-Date"]
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request)}"

    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def judge(token, user, endpoint, keys, now):
    """Raises Refusal if RDS would not log `user` in with the token."""
    parameters = token.parameters
    if parameters["DBUser"] != user:
        refuse("user")
    if token.host != endpoint.host:
        refuse("host")
    if token.port != str(endpoint.port):
        refuse("port")
    if token.region != endpoint.region:
        refuse("region")
    key = keys.get(token.access_key_id) or refuse("key")
    if parameters.get("X-Amz-Security-Token") != key.session_token:  # an empty token is refused too
        refuse("session-token")
    judge_age(token, now)
    expected = sign(token, key.secret_access_key)
    if not hmac.compare_digest(expected.encode(), parameters["X-Amz-Signature"].encode()):
        refuse("signature")


def judge_age(token, now):
    lifetime = token.parameters["X-Amz-Expires"]
    if not re.fullmatch("[0-9]{1,6}", lifetime) or not 0 < int(lifetime) <= MAX_LIFETIME:
        refuse("expires")
    if not token.signed_at - CLOCK_SKEW <= now <= token.signed_at + timedelta(seconds=int(lifetime)):
        refuse("age")


def decide(password, user, endpoint, keys, now):
    """Returns the reason, and the access key ID or None, for a user and a password."""
    token = None
    try:
        token = Token(password.decode("ascii"))
        judge(token, user.decode(), endpoint, keys, now)
        reason = "ok"
    except UnicodeDecodeError:
        reason = "malformed"
    except Refusal as refusal:
        reason = str(refusal)
    return reason, token and token.access_key_id


async def serve(socket_path, engine, endpoint, keys, log):
    """Answers the questions of one engine until the event loop stops."""

    async def answer(reader, writer):
        user, _, password = (await reader.read()).partition(b"\0")
        now = datetime.now(timezone.utc)
        reason, access_key_id = decide(password, user, endpoint, keys, now)
        verdict = {
            "time": now.isoformat(),
            "engine": engine,
            "user": user.decode(errors="replace"),
            "ok": reason == "ok",
            "reason": reason,
            "access_key_id": access_key_id,
        }
        # Logged before the answer, so that a test finds the reason once the login fails.
        print(json.dumps(verdict), file=log, flush=True)
        writer.write(b"Y" if reason == "ok" else b"N")
        writer.close()

    return await asyncio.start_unix_server(answer, socket_path)


def self_test():
    """Accepts the reference tokens, and refuses each mutation with the right reason."""
    vectors = json.loads(VECTORS.read_text())
    for vector in vectors:
        check_vector(vector)
    print(f"verifier: checked {len(vectors)} tokens and {len(MUTATIONS)} mutations of each")


def signed(old, new):
    """A change with a new signature, so that only the change is wrong."""
    return lambda text: (re.sub(old, new, text, count=1), True)


def raw(old, new):
    """A change with the old signature."""
    return lambda text: (re.sub(old, new, text, count=1), False)


def session_token(value):
    def mutate(text):
        text = re.sub("&X-Amz-Security-Token=[^&]*", "", text)
        before, signature, after = text.partition("&X-Amz-Signature=")
        return f"{before}&X-Amz-Security-Token={value}{signature}{after}", True

    return mutate


MUTATIONS = [
    ("user", signed("DBUser=", "DBUser=not-")),
    ("host", signed("^", "other.")),
    ("port", signed(r":\d+/", r":1/")),
    ("region", signed(r"%2F[a-z0-9-]+%2Frds-db", "%2Feu-south-9%2Frds-db")),
    ("key", signed("Credential=", "Credential=NOT")),
    ("session-token", session_token("")),
    ("session-token", session_token("other")),
    ("expires", signed("Expires=900", "Expires=901")),
    ("expires", signed("Expires=900", "Expires=0")),
    ("expires", signed("Expires=900", "Expires=-1")),
    ("signature", raw("Signature=....", "Signature=0123")),
    ("signature", raw("Expires=900", "Expires=899")),
    ("malformed", raw(r".$", "")),
    ("malformed", raw("^", "https://")),
    ("malformed", raw("&X-Amz-Date=[^&]*", "")),
    ("malformed", raw("Action=connect", "Action=connect&Action=connect")),
    ("malformed", raw("Action=connect", "Action=drop")),
    ("malformed", raw("Action=connect", "Action=connect&Extra=1")),
    ("malformed", raw("%2F", "/")),
    ("malformed", raw("%2F", "%2f")),
    ("malformed", raw("rds-db", "s3")),
    ("malformed", raw(r"T\d{6}Z", "T250000Z")),
    ("malformed", raw(r"Date=\d{8}", "Date=20010101")),
    ("malformed", raw("$", "\n")),
    ("malformed", lambda text: ("", False)),
    ("malformed", lambda text: (text[:127], False)),
]


def check_vector(vector):
    key = Key(vector["access_key_id"], vector["secret_access_key"], vector["session_token"])
    endpoint = Endpoint(vector["host"], vector["port"], vector["region"])
    signed_at = datetime.fromisoformat(vector["signed_at"].replace("Z", "+00:00"))

    def expect(reason, text, later=0):
        now = signed_at + timedelta(seconds=later)
        user = vector["user"].encode()
        got, _ = decide(text.encode(), user, endpoint, {key.access_key_id: key}, now)
        assert got == reason, f"{vector['host']}: {got} instead of {reason}"

    for later, reason in [(0, "ok"), (900, "ok"), (901, "age"), (-300, "ok"), (-301, "age")]:
        expect(reason, vector["token"], later)
    for reason, mutate in MUTATIONS:
        text, sign_anew = mutate(vector["token"])
        if sign_anew:
            signature = sign(Token(text), key.secret_access_key)
            text = re.sub("Signature=.*", f"Signature={signature}", text)
        expect(reason, text)


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        sys.exit(__doc__)
    self_test()
