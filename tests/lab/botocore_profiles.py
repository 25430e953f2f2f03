#!/usr/bin/env python3
"""Prints the profiles that botocore, as shipped with the AWS CLI, finds in pairs of profile files:

    botocore_profiles.py BOTOCORE DIRECTORY PROFILE...

DIRECTORY has a folder for each pair, with `config` and `credentials`. Each folder is one line of JSON, in the order of
their names. It has the access keys and the settings of each PROFILE (null if there are none). The line is null for
files that botocore refuses.
"""
import json
import os
import sys

botocore_parent, directory, *profiles = sys.argv[1:]
sys.path.insert(0, botocore_parent)

from botocore import configloader, credentials, exceptions  # noqa: E402

VALUES = ["region", "role_arn", "source_profile", "credential_process", "sso_session", "sso_region", "ca_bundle"]


def text(value):
    """Returns None for a nested block, which is a dictionary here."""
    return value if isinstance(value, str) else None


def merged(config, raw_credentials):
    """Merges the two files as `Session.full_config` does."""
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
            loaded = provider.load()
        except exceptions.PartialCredentialsError:
            return "half"
        if loaded:
            return [text(loaded.access_key), text(loaded.secret_key), text(loaded.token)]
    return None


def read(pair):
    try:
        raw = configloader.raw_config_parse(f"{pair}/credentials")
        all_profiles = merged(configloader.load_config(f"{pair}/config"), raw)
    except exceptions.ConfigParseError:
        return None
    result = {}
    for profile in profiles:
        values = all_profiles.get(profile)
        if values is not None:
            values = {name: text(values.get(name)) for name in VALUES}
        result[profile] = {"keys": keys(pair, profile), "values": values}
    return result


for name in sorted(os.listdir(directory)):
    print(json.dumps(read(os.path.join(directory, name))))
