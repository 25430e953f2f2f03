#!/usr/bin/env python3
"""Runs moto, a fake of AWS services, on a free port of loopback (tests/moto.rs).

It prints its URL as the first line. Then it runs the Python code on each line of stdin, which is a
JSON string, and answers with one line: `{"result": …}` with the value of the variable `result`, or
`{"error": …}`. The code can use `client(service, region)`, a client of boto3, and
`backend(service, region)`, which gives moto's own data. It stops at the end of its stdin.
"""

import json
import logging
import os
import sys
import traceback

# Before the imports: boto3 must not use the user's settings.
for name in list(os.environ):
    if name.startswith("AWS_") or name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ.update(
    AWS_ACCESS_KEY_ID="AKIDMOTO",
    AWS_SECRET_ACCESS_KEY="moto",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

import boto3  # noqa: E402
from moto.backends import get_backend  # noqa: E402
from moto.core import DEFAULT_ACCOUNT_ID  # noqa: E402
from moto.iam.responses import IamResponse  # noqa: E402
from moto.moto_api._internal import mock_random  # noqa: E402
from moto.rds import models  # noqa: E402
from moto.rds.utils import FilterDef  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

REGION = "eu-west-1"
DENIED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to "
    "perform: iam:SimulatePrincipalPolicy</Message></Error></ErrorResponse>"
)


def correct_moto():
    """Makes moto answer as RDS does, where it differs: it gives all instances one resource ID, does
    not filter clusters by their resource ID, and writes the host names of proxies differently."""

    def after_init(kind, change):
        init = kind.__init__

        def corrected(self, *args, **kwargs):
            init(self, *args, **kwargs)
            change(self)

        kind.__init__ = corrected

    def set_resource_id(instance):
        instance.dbi_resource_id = f"db-{mock_random.get_random_string(26).upper()}"

    def set_endpoint(proxy):
        proxy.endpoint = proxy.endpoint.replace(".db-proxy-", ".proxy-")

    # Seed code sets `host` to the name of a server of the lab.
    address = models.DBInstance.address.fget
    models.DBInstance.address = property(lambda instance: vars(instance).get("host") or address(instance))
    after_init(models.DBInstance, set_resource_id)
    after_init(models.DBProxy, set_endpoint)
    # moto has no simulation, and would answer as a server that fails.
    IamResponse.simulate_principal_policy = lambda _: (403, {}, DENIED)
    by_resource_id = FilterDef(["db_cluster_resource_id"], "Resource Ids")
    models.DBCluster.SUPPORTED_FILTERS["db-cluster-resource-id"] = by_resource_id


def main():
    correct_moto()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(service, region=REGION):
        return boto3.client(service, region_name=region, endpoint_url=url)

    def backend(service, region=REGION):
        return get_backend(service)[DEFAULT_ACCOUNT_ID][region]

    print(url, flush=True)
    for line in sys.stdin:
        names = {"client": client, "backend": backend, "url": url}
        try:
            exec(json.loads(line), names)
            answer = {"result": names.get("result")}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer, default=str), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
