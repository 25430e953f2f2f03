"""Downloads packages of Debian sid and unpacks them into folders, without installing anything and
without root. apt resolves, downloads and verifies them with its own state and the machine's
mirror and proxies."""

import glob
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN = "http://deb.debian.org/debian/"  # if the machine has no mirror
ROOT = os.geteuid() == 0


class SidError(Exception):
    """An error message for the user."""


def folder(variable, name):
    """Returns the folder that the variable names, or one in the user's cache."""
    # If root runs the lab, the servers run as `nobody`, which can't read root's ~/.cache.
    cache = os.environ.get("XDG_CACHE_HOME") or ("/var/cache" if ROOT else "~/.cache")
    default = Path(cache).expanduser() / "rds-token-lab" / name
    return Path(os.environ.get(variable) or default).absolute()


INSTALLED = """\
Package: {name}
Status: install ok installed
Version: 99:999
Architecture: all
Multi-Arch: allowed
Maintainer: nobody
Description: treated as installed
"""


def output(*command, **more):
    """Returns the stdout of a program. Raises SidError with its stderr if it fails."""
    done = subprocess.run(
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )
    if done.returncode != 0:
        raise SidError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()}")
    return done.stdout


def mirror():
    """Returns the machine's Debian mirror. (Labels are known after an `apt-get update`.)"""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)"]
    for line in output(*targets, "Created-By: Packages").splitlines():
        uri, _, label = line.partition(" ")
        if label == "Debian" or urlsplit(uri).path == "/debian/":
            return uri
    return DEBIAN


class Apt:
    """apt for sid only: with the machine's proxies and passwords, and without its sources,
    pins and hooks. Packages that are not needed count as installed."""

    def __init__(self, folder, uri, not_needed):
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        installed = [INSTALLED.format(name=name) for name in not_needed]
        (folder / "status").write_text("\n".join(installed))
        source = f"deb [signed-by={KEYRING}] {uri} sid main\n"
        (folder / "sources.list").write_text(source)
        (folder / "apt.conf").write_text(self.configuration(folder))
        self.environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
        self.archives = folder / "cache/archives"
        # By default, a failed download is only a warning.
        self.run("apt-get", "update", "--error-on=any")

    @staticmethod
    def configuration(folder):
        machine = output("apt-config", "dump", "--no-empty", "Acquire").splitlines()
        network = [line for line in machine if not line.startswith("Acquire::IndexTargets")]
        nothing = ["main", "parts", "sourceparts", "preferences", "preferencesparts"]
        settings = {
            **{f"Dir::Etc::{name}": "/dev/null" for name in nothing},
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Acquire::Languages": "none",
            # An old mirror is accepted, because the signature is still checked.
            "Acquire::Check-Valid-Until": "false",
            "APT::Install-Recommends": "false",
        }
        return "\n".join(network + [f'{name} "{value}";' for name, value in settings.items()])

    def run(self, program, *arguments):
        return output(program, "-qq", *arguments, env=self.environment)

    def newest(self, stem):
        """Returns the newest package named STEM or STEM-VERSION, such as STEM-8.0."""
        lines = self.run("apt-cache", "search", "--names-only", rf"^{stem}(-[0-9.]+)?$")
        names = [line.split()[0] for line in lines.splitlines()]
        if not names:
            raise SidError(f"sid has no {stem}")
        return max(names, key=lambda name: [*map(int, re.findall(r"\d+", name))] or [999])

    def download(self, *names):
        """Returns the files of the packages and of all their dependencies, including libc."""
        self.run("apt-get", "install", "--yes", "--download-only", *names)
        return sorted(self.archives.glob("*.deb"))


def command(folder, program, argv0):
    """Returns the command that runs a program of sid with the libraries of sid."""
    [loader] = glob.glob(f"{folder}/usr/lib/*/ld-linux-*.so.*")
    return [loader, "--library-path", Path(loader).parent, "--argv0", argv0, program]


def write_wrapper(path, words):
    path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    path.chmod(0o755)
