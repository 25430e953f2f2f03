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
    usr/     what came from sid, with MySQL's client library and its header
"""

import os
import sys
import tempfile
from pathlib import Path

import sid

PROGRAMS = {
    "mysqld": "usr/sbin/mysqld",
    "mysql": "usr/bin/mysql",
    "mysqldump": "usr/bin/mysqldump",
    "mysqladmin": "usr/bin/mysqladmin",
    "mysqlbinlog": "usr/bin/mysqlbinlog",
    "my_print_defaults": "usr/bin/my_print_defaults",
}
# The library and its header, for tests of programs that are linked with it.
LIBRARY = "usr/include/mysql"
KEPT = ["usr/lib", "usr/share/mysql", LIBRARY, *PROGRAMS.values()]


FOLDER = sid.folder("RDS_TOKEN_LAB_MYSQL", "mysql-sid")
BIN = FOLDER / "bin"
DATA = FOLDER / "data"
PLUGINS = FOLDER / "usr/lib/mysql/plugin"


def present():
    return (BIN / "mysqld").exists() and (FOLDER / LIBRARY).exists()


def can_be_had():
    return present() or sid.KEYRING.exists()


def options(folder=FOLDER):
    """What mysqld needs to find its own files, and nothing of the machine's."""
    return ["--no-defaults", f"--basedir={folder / 'usr'}", "--secure-file-priv=NULL"]


# --- the folder ---------------------------------------------------------------------

# What is in KEPT needs no Perl, though mysqld_safe and its like do; nor the headers of other libraries.
NOT_NEEDED = ["perl", "libssl-dev", "zlib1g-dev", "libzstd-dev", "libc6-dev"]


def command(folder, name):
    program = folder / PROGRAMS[name]
    # A client says its own name in what it prints; the server looks around from its path.
    return sid.command(folder, program, program if name == "mysqld" else name)


def unpack(packages, folder):
    """Keeps the part of them that is used: a third."""
    whole = folder.with_name("whole")
    for package in packages:
        sid.output("dpkg-deb", "-x", package, whole)
    for name in KEPT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).rename(folder / name)


def write_wrappers(folder):
    """In `folder`, for it to be FOLDER later."""
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        words = [str(word).replace(str(folder), str(FOLDER)) for word in command(folder, name)]
        sid.write_wrapper(folder / "bin" / name, words)


def initialize(folder):
    """Takes seconds; copying it takes none."""
    sid.output(
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
        *(["--user=root"] if sid.ROOT else []),
    )


def get(uri):
    os.umask(0o022)  # `nobody` will run it
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mysql-", dir=FOLDER.parent) as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)  # for apt's own user
        folder = scratch / "mysql"
        apt = sid.Apt(scratch, uri, NOT_NEEDED)
        packages = apt.download(
            apt.newest("mysql-server-core"), apt.newest("mysql-client-core"), "libmysqlclient-dev"
        )
        unpack(packages, folder)
        initialize(folder)
        write_wrappers(folder)
        if not present():  # by another run of this program
            if FOLDER.exists():  # from an older version of this one
                FOLDER.rename(scratch / "old")
            folder.rename(FOLDER)  # all or nothing


def say(text):
    print(f"make: {text}", file=sys.stderr)


def main():
    if present():
        return
    try:
        uri = sid.mirror()
        what = f"unpacking MySQL from Debian sid at {uri} into {FOLDER}"
        say(f"{what}: a server and clients for tests/lab (nothing is installed)")
        get(uri)
    except (sid.SidError, OSError) as error:
        say(f"can't get MySQL from Debian sid: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
