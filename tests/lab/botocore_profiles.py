#!/usr/bin/env python3
"""What botocore, as the AWS CLI ships it, finds in pairs of profile files:

    botocore_profiles.py BOTOCORE DIRECTORY PROFILE...

DIRECTORY has a folder for each pair, with `config` and `credentials`. Prints a line of JSON for each folder, in the
order of their names: for each PROFILE its access keys (null if it has none) and the values that lead to other
sources; null in place of all for files that botocore refuses.
"""
import json
import os
import sys

botocore_parent, directory, *profiles = sys.argv[1:]
sys.path.insert(0, botocore_parent)

from botocore import configloader, credentials, exceptions  # noqa: E402

VALUES = ["region", "role_arn", "source_profile", "credential_process", "sso_session", "sso_region", "ca_bundle"]


def text(value):
    """A nested block, a dictionary here, is not a value."""
    return value if isinstance(value, str) else None


def merged(config, raw_credentials):
    """As `Session.full_config` merges them."""
    for name, values in raw_credentials.items():
        config["profiles"].setdefault(name, {}).update(values)
    return config["profiles"]


def keys(pair, profile):
    providers = [
        credentials.SharedCredentialProvider(f"{pair}/credentials", profile),
        credentials.ConfigProvider(f"{pair}/config", profile),
    ]
    for provider in providers:
        try:
            found = provider.load()
        except exceptions.PartialCredentialsError:
            return "half"
        if found:
            return [text(found.access_key), text(found.secret_key), text(found.token)]
    return None


def look(pair):
    try:
        raw = configloader.raw_config_parse(f"{pair}/credentials")
        all_profiles = merged(configloader.load_config(f"{pair}/config"), raw)
    except exceptions.ConfigParseError:
        return None
    found = {}
    for profile in profiles:
        values = all_profiles.get(profile)
        if values is not None:
            values = {name: text(values.get(name)) for name in VALUES}
        found[profile] = {"keys": keys(pair, profile), "values": values}
    return found


for name in sorted(os.listdir(directory)):
    print(json.dumps(look(os.path.join(directory, name))))
