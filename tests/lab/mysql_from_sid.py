#!/usr/bin/env python3
"""Unpacks Oracle's MySQL into a folder. Among Debian's releases, only sid has it.

    mysql_from_sid.py        unpacks it, unless that is done already (tests/lab/install)

The variable RDS_TOKEN_LAB_MYSQL names the folder. The default is rds-token-lab/mysql-sid in the
user's cache. Remove the folder to get the current version. Nothing is installed, and root is not
needed (sid.py). The folder contains

    bin/     wrappers that run each program with sid's own dynamic loader, because this
             machine's libc may be older
    data/    a data directory from `mysqld --initialize`, to be copied
    usr/     files of the packages, with MySQL's client library and its headers
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
# The headers of the client library, for tests of programs that are linked with it.
HEADERS = "usr/include/mysql"
UNPACKED = ["usr/lib", "usr/share/mysql", HEADERS, *PROGRAMS.values()]


FOLDER = sid.folder("RDS_TOKEN_LAB_MYSQL", "mysql-sid")
BIN = FOLDER / "bin"
DATA = FOLDER / "data"
PLUGINS = FOLDER / "usr/lib/mysql/plugin"


def is_unpacked():
    return (BIN / "mysqld").exists() and (FOLDER / HEADERS).exists()


def is_available():
    return is_unpacked() or sid.KEYRING.exists()


def options(folder=FOLDER):
    """Returns the options with which mysqld uses its own files only."""
    return ["--no-defaults", f"--basedir={folder / 'usr'}", "--secure-file-priv=NULL"]


# --- the folder ---------------------------------------------------------------------

# The files in UNPACKED need neither Perl, unlike mysqld_safe, nor the headers of other libraries.
NOT_NEEDED = ["perl", "libssl-dev", "zlib1g-dev", "libzstd-dev", "libc6-dev"]


def command(folder, name):
    program = folder / PROGRAMS[name]
    # A client prints argv[0] as its name. The server derives other paths from it.
    return sid.command(folder, program, program if name == "mysqld" else name)


def unpack(packages, folder):
    """Unpacks the used part of the packages, which is a third."""
    all_files = folder.with_name("all")
    for package in packages:
        sid.output("dpkg-deb", "-x", package, all_files)
    for name in UNPACKED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (all_files / name).rename(folder / name)


def write_wrappers(folder):
    """Writes wrappers into `folder`, which is renamed to FOLDER later."""
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        words = [str(word).replace(str(folder), str(FOLDER)) for word in command(folder, name)]
        sid.write_wrapper(folder / "bin" / name, words)


def initialize(folder):
    """Creates the data directory, which takes seconds. The lab copies it, which is fast."""
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
    os.umask(0o022)  # `nobody` runs it
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mysql-", dir=FOLDER.parent) as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)  # for apt's user
        folder = scratch / "mysql"
        apt = sid.Apt(scratch, uri, NOT_NEEDED)
        packages = apt.download(
            apt.newest("mysql-server-core"), apt.newest("mysql-client-core"), "libmysqlclient-dev"
        )
        unpack(packages, folder)
        initialize(folder)
        write_wrappers(folder)
        if not is_unpacked():  # another run may have done it
            if FOLDER.exists():  # from an older version of this program
                FOLDER.rename(scratch / "old")
            folder.rename(FOLDER)  # atomic


def say(text):
    print(f"make: {text}", file=sys.stderr)


def main():
    if is_unpacked():
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
