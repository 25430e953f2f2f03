#!/usr/bin/env python3
"""Prints a JSON list of Aurora DSQL tokens: for a user and for admin, without and with a session token.

    dsql_tokens.py HOST REGION

They are signed with the botocore in the AWS CLI, because Debian's botocore is older than Aurora DSQL.
"""

import json
import sys

import awscli.botocore.session

host, region = sys.argv[1:]
tokens = []
for key_id, session_token in (("AKIAEXAMPLE", None), ("ASIAEXAMPLE", "session/+=")):
    client = awscli.botocore.session.Session().create_client(
        "dsql",
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key="secret",
        aws_session_token=session_token,
    )
    tokens.append(client.generate_db_connect_auth_token(host, region))
    tokens.append(client.generate_db_connect_admin_auth_token(host, region, 604800))
json.dump(tokens, sys.stdout)
