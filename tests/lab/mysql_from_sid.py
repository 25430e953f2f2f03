#!/usr/bin/env python3
"""Oracle's MySQL, which Debian has in sid alone, unpacked into a folder of its own.

    mysql_from_sid.py        gets it, unless it is there (tests/lab/install)

The folder is the one that RDS_TOKEN_LAB_MYSQL names, or rds-token-lab/mysql-sid in the
user's cache; remove it to get what sid has by then. Nothing is installed and nobody has
to be root: apt resolves, downloads and verifies with a state of its own, by the machine's
mirror and proxies, and the packages are unpacked. In the folder are

    bin/     what to run: each program by sid's own dynamic loader, so that this
             machine's libc may be an older one
    data/    a data directory as `mysqld --initialize` leaves it, to be copied
    usr/     what came from sid
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN = "http://deb.debian.org/debian/"  # when the machine has no mirror of its own
ROOT = os.geteuid() == 0

PROGRAMS = {
    "mysqld": "usr/sbin/mysqld",
    "mysql": "usr/bin/mysql",
    "mysqldump": "usr/bin/mysqldump",
    "mysqladmin": "usr/bin/mysqladmin",
    "mysqlbinlog": "usr/bin/mysqlbinlog",
    "my_print_defaults": "usr/bin/my_print_defaults",
}
KEPT = ["usr/lib", "usr/share/mysql", *PROGRAMS.values()]


class SidError(Exception):
    """What went wrong, for the user."""


def default_folder():
    # Root's server runs as `nobody`, to whom root's own ~/.cache is closed.
    cache = os.environ.get("XDG_CACHE_HOME") or ("/var/cache" if ROOT else "~/.cache")
    return Path(cache).expanduser() / "rds-token-lab" / "mysql-sid"


FOLDER = Path(os.environ.get("RDS_TOKEN_LAB_MYSQL") or default_folder()).absolute()
BIN = FOLDER / "bin"
DATA = FOLDER / "data"
PLUGINS = FOLDER / "usr/lib/mysql/plugin"


def present():
    return (BIN / "mysqld").exists()


def can_be_had():
    return present() or KEYRING.exists()


def options(folder=FOLDER):
    """What mysqld needs to find its own files, and nothing of the machine's."""
    return ["--no-defaults", f"--basedir={folder / 'usr'}", "--secure-file-priv=NULL"]


# --- packages -----------------------------------------------------------------------

# What is in KEPT needs no Perl, though mysqld_safe and its like do.
INSTALLED = """\
Package: perl
Status: install ok installed
Version: 999
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
    pins and hooks, and with nothing but Perl installed."""

    def __init__(self, folder, uri):
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").write_text(INSTALLED)
        source = f"deb [signed-by={KEYRING}] {uri} sid main\n"
        (folder / "sources.list").write_text(source)
        (folder / "apt.conf").write_text(self.configuration(folder))
        self.environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
        self.archives = folder / "cache/archives"

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

    def download(self, *stems):
        """The packages and all that they depend on, down to libc."""
        # Without this, what could not be fetched is a warning.
        self.run("apt-get", "update", "--error-on=any")
        names = [self.newest(stem) for stem in stems]
        self.run("apt-get", "install", "--yes", "--download-only", *names)
        return sorted(self.archives.glob("*.deb"))


# --- the folder ---------------------------------------------------------------------


def command(folder, name):
    """How to run a program of sid's: what it loads, it loads from sid."""
    [loader] = glob.glob(f"{folder}/usr/lib/*/ld-linux-*.so.*")
    program = folder / PROGRAMS[name]
    # A client says its own name in what it prints; the server looks around from its path.
    argv0 = program if name == "mysqld" else name
    return [loader, "--library-path", Path(loader).parent, "--argv0", argv0, program]


def unpack(packages, folder):
    """Keeps the part of them that is used: a third."""
    whole = folder.with_name("whole")
    for package in packages:
        output("dpkg-deb", "-x", package, whole)
    for name in KEPT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).rename(folder / name)


def write_wrappers(folder):
    """In `folder`, for it to be FOLDER later."""
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        words = [str(word).replace(str(folder), str(FOLDER)) for word in command(folder, name)]
        wrapper = folder / "bin" / name
        wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        wrapper.chmod(0o755)


def initialize(folder):
    """Takes seconds; copying it takes none."""
    output(
        *command(folder, "mysqld"),
        *options(folder),
        "--initialize-insecure",
        f"--datadir={folder / 'data'}",
        "--auto-generate-certs=OFF",
        "--caching-sha2-password-auto-generate-rsa-keys=OFF",
        "--innodb-redo-log-capacity=8M",
        "--innodb-doublewrite=OFF",
        "--innodb-flush-method=nosync",
        "--innodb-use-native-aio=OFF",
        *(["--user=root"] if ROOT else []),
    )


def get(uri):
    os.umask(0o022)  # `nobody` will run it
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mysql-", dir=FOLDER.parent) as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)  # for apt's own user
        folder = scratch / "mysql"
        packages = Apt(scratch, uri).download("mysql-server-core", "mysql-client-core")
        unpack(packages, folder)
        initialize(folder)
        write_wrappers(folder)
        if not present():  # by another run of this program
            folder.rename(FOLDER)  # all or nothing


def say(text):
    print(f"tests/lab/install: {text}", file=sys.stderr)


def main():
    if present():
        return
    try:
        uri = mirror()
        what = f"unpacking MySQL from Debian sid at {uri} into {FOLDER}"
        say(f"{what}: a server and clients for tests/lab (nothing is installed)")
        get(uri)
    except (SidError, OSError) as error:
        say(f"can't get MySQL from Debian sid: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
