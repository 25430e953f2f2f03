#!/usr/bin/env python3
"""Signs tokens with the real botocore.

Reads a JSON list of cases from stdin (as in tests/data/tokens.json) and prints a JSON list of
tokens.
"""

import datetime
import functools
import json
import sys

import botocore.auth
import botocore.credentials
import botocore.session


@functools.cache
def client(region):
    """Returns a client. It is cached, because creating one is slow; its keys are replaced."""
    return botocore.session.Session().create_client(
        "rds", region_name=region, aws_access_key_id="x", aws_secret_access_key="x"
    )


def token_of(case):
    signed_at = datetime.datetime.strptime(case["signed_at"], "%Y-%m-%dT%H:%M:%SZ")

    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return signed_at

    rds = client(case["region"])
    keys = (case["access_key_id"], case["secret_access_key"], case["session_token"])
    rds._request_signer._credentials = botocore.credentials.Credentials(*keys)
    real, botocore.auth.datetime.datetime = botocore.auth.datetime.datetime, Clock
    try:
        return rds.generate_db_auth_token(case["host"], case["port"], case["user"], Region=case["region"])
    finally:
        botocore.auth.datetime.datetime = real


json.dump([token_of(case) for case in json.load(sys.stdin)], sys.stdout)
