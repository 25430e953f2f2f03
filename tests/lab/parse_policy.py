#!/usr/bin/env python3
"""Parses a policy on stdin, and prints its version, actions and resources as JSON.

    parse_policy.py json|cloudformation|terraform|hcl2

`terraform` evaluates the policy with Terraform. `hcl2` parses it with python-hcl2, which does not evaluate strings.
"""

import json
import re
import subprocess
import sys
import tempfile


def cloudformation(text):
    import yaml

    template = yaml.safe_load(text)
    assert template["AWSTemplateFormatVersion"] == "2010-09-09", template
    (resource,) = template["Resources"].values()
    assert resource["Type"] == "AWS::IAM::ManagedPolicy", resource
    return resource["Properties"]["PolicyDocument"]


def terraform(text):
    """The resource becomes a local value, because resources need a provider."""
    lines = [line for line in text.splitlines() if not line.startswith("  name_prefix")]
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/main.tf", "w", encoding="utf-8") as file:
            file.write("\n".join(["locals {"] + lines[1:]))
        console = ["terraform", f"-chdir={directory}", "console"]
        run = subprocess.run(console, input="local.policy\n", capture_output=True, text=True, check=True)
    literal = run.stdout.strip().splitlines()[-1]
    # The console escapes quotes, but not templates.
    return json.loads(unquote(literal, r'\\u([0-9a-f]{4})|\\(["\\])'))


def hcl2(text):
    import hcl2

    (block,) = hcl2.loads(text)["resource"]
    (labels,) = block['"aws_iam_policy"'].values()
    expression = labels["policy"]
    assert expression.startswith("${jsonencode({"), expression
    strings = [unquote(literal) for literal in re.findall(r'"(?:[^"\\]|\\.)*"', expression)]
    version, effect, *rest = strings
    is_action = [":" in string and not string.startswith("arn:") for string in rest]
    count = is_action.count(True)
    return {"Version": version, "Statement": [{"Effect": effect, "Action": rest[:count], "Resource": rest[count:]}]}


def unquote(literal, escapes=r'\\u([0-9a-f]{4})|\\(["\\])|\$\$(?=\{)|%%(?=\{)'):
    assert literal[0] == literal[-1] == '"', literal
    replace = lambda match: chr(int(match[1], 16)) if match[1] else match[2] or match[0][0]
    return re.sub(escapes, replace, literal[1:-1])


parsers = {"json": json.loads, "cloudformation": cloudformation, "terraform": terraform, "hcl2": hcl2}
document = parsers[sys.argv[1]](sys.stdin.buffer.read().decode())
(statement,) = document["Statement"]
assert statement["Effect"] == "Allow", statement
json.dump([document["Version"], statement["Action"], statement["Resource"]], sys.stdout)
