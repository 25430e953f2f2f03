"""Packages of Debian sid, unpacked into folders: nothing is installed and nobody has to be
root. apt resolves, downloads and verifies with a state of its own, by the machine's mirror
and proxies."""

import glob
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN = "http://deb.debian.org/debian/"  # when the machine has no mirror of its own
ROOT = os.geteuid() == 0


class SidError(Exception):
    """What went wrong, for the user."""


def folder(variable, name):
    """The one that the variable names, or one in the user's cache."""
    # Root's servers run as `nobody`, to whom root's own ~/.cache is closed.
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
Description: is taken to be there
"""


def output(*command, **more):
    """What a program prints; its own words when it fails."""
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
    """Where this machine gets Debian from. (Labels are known after an `apt-get update`.)"""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)"]
    for line in output(*targets, "Created-By: Packages").splitlines():
        uri, _, label = line.partition(" ")
        if label == "Debian" or urlsplit(uri).path == "/debian/":
            return uri
    return DEBIAN


class Apt:
    """apt for sid alone: with the machine's proxies and passwords, without its sources,
    pins and hooks, and with nothing installed but what is not needed."""

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
        # Without this, what could not be fetched is a warning.
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
            # A mirror that stands still will do; who signed it is what matters.
            "Acquire::Check-Valid-Until": "false",
            "APT::Install-Recommends": "false",
        }
        return "\n".join(network + [f'{name} "{value}";' for name, value in settings.items()])

    def run(self, program, *arguments):
        return output(program, "-qq", *arguments, env=self.environment)

    def newest(self, stem):
        """A package's name in sid: Debian has had STEM and STEM-8.0."""
        found = self.run("apt-cache", "search", "--names-only", rf"^{stem}(-[0-9.]+)?$")
        names = [line.split()[0] for line in found.splitlines()]
        if not names:
            raise SidError(f"sid has no {stem}")
        return max(names, key=lambda name: [*map(int, re.findall(r"\d+", name))] or [999])

    def download(self, *names):
        """The packages and all that they depend on, down to libc."""
        self.run("apt-get", "install", "--yes", "--download-only", *names)
        return sorted(self.archives.glob("*.deb"))


def command(folder, program, argv0):
    """How to run a program of sid's: what it loads, it loads from sid."""
    [loader] = glob.glob(f"{folder}/usr/lib/*/ld-linux-*.so.*")
    return [loader, "--library-path", Path(loader).parent, "--argv0", argv0, program]


def write_wrapper(path, words):
    path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    path.chmod(0o755)
