#!/usr/bin/env python3
"""Signs tokens of Aurora DSQL with the botocore in the AWS CLI.

Reads a JSON list of cases from stdin (as in tests/data/dsql_tokens.json) and prints a JSON list
of tokens. Without `signed_at`, the token is dated now. Debian's botocore is older than Aurora
DSQL.
"""

import contextlib
import datetime
import functools
import json
import sys

import awscli.botocore.credentials
import awscli.botocore.session


@functools.cache
def client(region):
    """Returns a client. It is cached, because creating one is slow; its keys are replaced."""
    return awscli.botocore.session.Session().create_client(
        "dsql", region_name=region, aws_access_key_id="x", aws_secret_access_key="x"
    )


def token_of(case):
    dsql = client(case["region"])
    keys = (case["access_key_id"], case["secret_access_key"], case["session_token"])
    dsql._request_signer._credentials = awscli.botocore.credentials.Credentials(*keys)
    is_admin = case["user"] == "admin"
    generate = dsql.generate_db_connect_admin_auth_token if is_admin else dsql.generate_db_connect_auth_token
    with clock(case.get("signed_at")):
        return generate(case["host"], case["region"], case["expires_in"])


@contextlib.contextmanager
def clock(text):
    """Sets the clock of the signers: that in Python and that in C."""
    names = [name for name in sys.modules if name.endswith((".auth", ".signers"))]
    signers = [sys.modules[name] for name in names if hasattr(sys.modules[name], "get_current_datetime")]
    if text is None:
        yield
        return
    date = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")

    def fixed(remove_tzinfo=True):
        return date if remove_tzinfo else date.replace(tzinfo=datetime.timezone.utc)

    real = [module.get_current_datetime for module in signers]
    try:
        for module in signers:
            module.get_current_datetime = fixed
        yield
    finally:
        for module, function in zip(signers, real):
            module.get_current_datetime = function


json.dump([token_of(case) for case in json.load(sys.stdin)], sys.stdout)
