#!/usr/bin/env python3
"""Verifies IAM tokens as RDS and Aurora DSQL do, on this machine.

It shares no code with rds-token, so that it doesn't repeat the program's errors: Signature
Version 4 is implemented below with the standard library only. The lab's servers send their
questions to a unix socket (verifier_client.h). Each verdict is one line of JSON in a log,
without tokens and secrets.

    verifier.py --self-test        checks itself with tests/data/tokens.json and dsql_tokens.json
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

DATA = Path(__file__).resolve().parent.parent / "data"

# Seconds; the services refuse a longer lifetime.
MAX_LIFETIME = {"rds-db": 900, "dsql": 604_800}
CLOCK_SKEW = timedelta(minutes=5)  # a signer's clock may be ahead by this time

REQUIRED = {
    "Action",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}
OPTIONAL = {"DBUser", "X-Amz-Security-Token"}

# Strict percent-encoding: no "+" for a space, no lower-case hex digits, no other raw character.
TOKEN = re.compile(r"([^/:?]+)(?::([0-9]+))?/\?(.+)")
PARAMETER = re.compile(r"([A-Za-z-]+)=((?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*)")
CREDENTIAL = re.compile(r"([A-Za-z0-9]+)/([0-9]{8})/([^/]+)/(rds-db|dsql)/aws4_request")
ACTIONS = {"rds-db": {"connect"}, "dsql": {"DbConnect", "DbConnectAdmin"}}
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
    dsql_host: Optional[str] = None  # the server is also a cluster of Aurora DSQL


class Refusal(Exception):
    """A refused token. The text is the `reason` in the verdict."""


class Token:
    """A parsed token. Raises Refusal if the text is malformed."""

    def __init__(self, text):
        match = TOKEN.fullmatch(text) or refuse("malformed")
        self.host, self.port, query = match.groups()
        self.parameters = parse_query(query)
        scope = CREDENTIAL.fullmatch(self.parameters["X-Amz-Credential"]) or refuse("malformed")
        self.access_key_id, self.date, self.region, self.service = scope.groups()
        self.signed_at = parse_date(self.parameters["X-Amz-Date"])
        is_rds = self.service == "rds-db"
        if (self.port is not None) != is_rds or ("DBUser" in self.parameters) != is_rds:
            refuse("malformed")  # a token of Aurora DSQL has no port and no user
        if self.parameters["Action"] not in ACTIONS[self.service]:
            refuse("malformed")
        fixed = {
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
    host = f"host:{token.host}" + (f":{token.port}" if token.port else "")
    request = f"GET\n/\n{query}\n{host}\n\nhost\n{sha256('')}"
    scope = f"{token.date}/{token.region}/{token.service}/aws4_request"
    stamp = token.parameters["X-Amz-Date"]
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request)}"

    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def judge(token, user, endpoint, keys, now):
    """Raises Refusal if the service would not log `user` in with the token."""
    parameters = token.parameters
    if token.service == "dsql":
        judge_dsql(token, user, endpoint)
    else:
        judge_rds(token, user, endpoint)
    if token.region != endpoint.region:
        refuse("region")
    key = keys.get(token.access_key_id) or refuse("key")
    if parameters.get("X-Amz-Security-Token") != key.session_token:  # an empty token is refused too
        refuse("session-token")
    judge_age(token, now)
    expected = sign(token, key.secret_access_key)
    if not hmac.compare_digest(expected.encode(), parameters["X-Amz-Signature"].encode()):
        refuse("signature")


def judge_rds(token, user, endpoint):
    if token.parameters["DBUser"] != user:
        refuse("user")
    if token.host != endpoint.host:
        refuse("host")
    if token.port != str(endpoint.port):
        refuse("port")


def judge_dsql(token, user, endpoint):
    if (token.parameters["Action"] == "DbConnectAdmin") != (user == "admin"):
        refuse("action")
    if token.host != endpoint.dsql_host:
        refuse("host")


def judge_age(token, now):
    lifetime = token.parameters["X-Amz-Expires"]
    if not re.fullmatch("[0-9]{1,6}", lifetime) or not 0 < int(lifetime) <= MAX_LIFETIME[token.service]:
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
    for name, mutations in (("tokens", MUTATIONS), ("dsql_tokens", DSQL_MUTATIONS)):
        vectors = json.loads((DATA / f"{name}.json").read_text())
        for vector in vectors:
            check_vector(vector, mutations)
        print(f"verifier: checked {len(vectors)} tokens and {len(mutations)} mutations of each")


def signed(old, new):
    """A change with a new signature, so that only the change is wrong."""
    return lambda text: (re.sub(old, new, text, count=1), True)


def raw(old, new):
    """A change with the old signature."""
    return lambda text: (re.sub(old, new, text, count=1), False)


def swap_action(match):
    return "Action=DbConnect" if match[1] else "Action=DbConnectAdmin"


def session_token(value):
    def mutate(text):
        text = re.sub("&X-Amz-Security-Token=[^&]*", "", text)
        before, signature, after = text.partition("&X-Amz-Signature=")
        return f"{before}&X-Amz-Security-Token={value}{signature}{after}", True

    return mutate


COMMON_MUTATIONS = [
    ("host", signed("^", "other.")),
    ("region", signed(r"%2F[a-z0-9-]+%2F(rds-db|dsql)", r"%2Feu-south-9%2F\1")),
    ("key", signed("Credential=", "Credential=NOT")),
    ("session-token", session_token("")),
    ("session-token", session_token("other")),
    ("expires", signed(r"Expires=\d+", "Expires=0")),
    ("expires", signed(r"Expires=\d+", "Expires=-1")),
    ("signature", raw("Signature=....", "Signature=0123")),
    ("signature", raw(r"Expires=\d+", "Expires=449")),
    ("malformed", raw(r".$", "")),
    ("malformed", raw("^", "https://")),
    ("malformed", raw("&X-Amz-Date=[^&]*", "")),
    ("malformed", raw("Action=", "Action=x&Action=")),
    ("malformed", raw("Action=[A-Za-z]+", "Action=drop")),
    ("malformed", raw("Action=", "Extra=1&Action=")),
    ("malformed", raw("%2F", "/")),
    ("malformed", raw("%2F", "%2f")),
    ("malformed", raw("(rds-db|dsql)%2F", "s3%2F")),
    ("malformed", raw(r"T\d{6}Z", "T250000Z")),
    ("malformed", raw(r"Date=\d{8}", "Date=20010101")),
    ("malformed", raw("$", "\n")),
    ("malformed", lambda text: ("", False)),
    ("malformed", lambda text: (text[:127], False)),
]


MUTATIONS = COMMON_MUTATIONS + [
    ("user", signed("DBUser=", "DBUser=not-")),
    ("port", signed(r":\d+/", r":1/")),
    ("expires", signed("Expires=900", "Expires=901")),
    ("malformed", raw("rds-db%2F", "dsql%2F")),
    ("malformed", raw("Action=connect", "Action=DbConnect")),
]

DSQL_MUTATIONS = COMMON_MUTATIONS + [
    ("expires", signed(r"Expires=\d+", "Expires=604801")),
    ("malformed", raw("/", ":5432/")),
    ("malformed", raw("&X-Amz-Algorithm", "&DBUser=admin&X-Amz-Algorithm")),
    ("malformed", raw("dsql%2F", "rds-db%2F")),
    ("malformed", raw("Action=[A-Za-z]+", "Action=connect")),
    ("action", signed("Action=DbConnect(Admin)?", swap_action)),
]


def check_vector(vector, mutations):
    key = Key(vector["access_key_id"], vector["secret_access_key"], vector["session_token"])
    host, lifetime = vector["host"], vector.get("expires_in", 900)
    endpoint = Endpoint(host, vector.get("port"), vector["region"], dsql_host=host)
    signed_at = datetime.fromisoformat(vector["signed_at"].replace("Z", "+00:00"))

    def expect(reason, text, later=0):
        now = signed_at + timedelta(seconds=later)
        user = vector["user"].encode()
        got, _ = decide(text.encode(), user, endpoint, {key.access_key_id: key}, now)
        assert got == reason, f"{vector['host']}: {got} instead of {reason}"

    for later, reason in [(0, "ok"), (lifetime, "ok"), (lifetime + 1, "age"), (-300, "ok"), (-301, "age")]:
        expect(reason, vector["token"], later)
    for reason, mutate in mutations:
        text, sign_anew = mutate(vector["token"])
        if sign_anew:
            signature = sign(Token(text), key.secret_access_key)
            text = re.sub("Signature=.*", f"Signature={signature}", text)
        expect(reason, text)


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        sys.exit(__doc__)
    self_test()
