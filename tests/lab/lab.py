#!/usr/bin/env python3
"""Runs a throwaway MariaDB, MySQL and PostgreSQL on loopback that accept RDS IAM tokens.

    lab.py run mariadb|mysql|postgres|all [--dir DIR]
        Starts the servers, prints one line of JSON that describes them, and runs until the
        end of its stdin (or SIGTERM, SIGINT). Then it stops them and removes DIR.
    lab.py check [mariadb|mysql|postgres|all]...
        Prints the names of missing Debian packages (tests/lab/install). A package that
        only Debian sid has is printed with the suffix "/sid" (mysql_from_sid.py).

The machine is not changed: data, keys, sockets, PAM and name files are all in DIR, servers
listen on 127.0.0.1 only, and no service of the machine is used. The servers act as an RDS
endpoint: their certificate has its name, and nss_wrapper makes clients resolve the name to
loopback. If root starts the lab, the servers run as `nobody`. A Kerberos KDC runs beside
PostgreSQL if its packages are installed (`make setup`).
"""

import argparse
import asyncio
import ctypes
import glob
import json
import os
import pwd
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
from base64 import b64encode
from pathlib import Path

sys.dont_write_bytecode = True  # no __pycache__ in the source directory
import mysql_from_sid  # noqa: E402
from verifier import Endpoint, Key, serve  # noqa: E402

HERE = Path(__file__).resolve().parent

REGION = "eu-west-1"
DOMAIN = f"abc123.{REGION}.rds.amazonaws.com"
HOST = f"db.{DOMAIN}"
OTHER_HOST = f"other.{DOMAIN}"  # in the certificate too, but not the endpoint of a token
OUTSIDE_HOST = f"db.zzz999.{REGION}.rds.amazonaws.com"  # not in the certificate
DSQL_DOMAIN = f"dsql.{REGION}.on.aws"
DSQL_HOST = f"abc123.{DSQL_DOMAIN}"  # PostgreSQL also acts as a cluster of Aurora DSQL
DSQL_ADMIN = "admin"

DATABASE = "ExampleDB"
# The first name is plain. The others need percent-encoding and quoting.
USERS = ["dbiamuser", "jane.doe@corp", "a+b c&d=e#f%41/g*h~i"]

# The master user, with the default name of each engine. The password needs quoting in option files and passfiles.
MASTER_PASSWORD = "m'a:s\\t\"e#r $x"


def fake_session_token(length):
    """Returns base64 with "+", "/" and "=", as from STS; the same text in each run."""
    noise = random.Random(length).randbytes(length)
    return b64encode(noise).decode()[: length - 1] + "="


KEYS = {
    "static": Key("AKIDLABSTATIC", "lab/static+secret"),
    "session": Key("ASIDLABSESSION", "lab/session+secret", fake_session_token(64)),
    "long": Key("ASIDLABLONG", "lab/long+secret", fake_session_token(1600)),
    "huge": Key("ASIDLABHUGE", "lab/huge+secret", fake_session_token(8000)),
}

ROOT = os.geteuid() == 0
ADMIN = pwd.getpwuid(os.geteuid()).pw_name  # superuser of all servers, by unix socket only
NOBODY = pwd.getpwnam("nobody")

# --- required packages --------------------------------------------------------------

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program(name):
    """Returns the path of a program. Debian has a directory outside PATH for each PostgreSQL."""
    versions = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.split("/")[4]), default=None)
    return newest or shutil.which(name, path=SYSTEM_PATH)


def nss_wrapper():
    patterns = ["/usr/lib/*/libnss_wrapper.so", "/usr/lib*/libnss_wrapper.so"]
    return next((path for pattern in patterns for path in glob.glob(pattern)), None)


# The -core package contains the server without a service, a system user or a data directory.
PACKAGES = {
    "any": [
        ("gcc", lambda: program("cc")),
        ("libc6-dev", lambda: os.path.exists("/usr/include/stdlib.h")),
        ("openssl", lambda: program("openssl")),
        ("libnss-wrapper", nss_wrapper),
    ],
    "mariadb": [
        ("mariadb-server-core", lambda: program("mariadbd")),
        ("mariadb-client", lambda: program("mariadb") and program("mariadb-dump")),
    ],
    "mysql": [
        ("debian-archive-keyring", mysql_from_sid.is_available),
        ("mysql-server-core/sid", mysql_from_sid.is_unpacked),
    ],
    "postgres": [
        ("postgresql", lambda: program("initdb")),
        ("postgresql-client", lambda: program("psql")),
    ],
}


def has_kerberos():
    """Whether the Kerberos programs are installed. The lab starts without them."""
    return all(map(program, ["krb5kdc", "kdb5_util", "kadmin.local", "kinit"]))


def missing_packages(engines):
    required = PACKAGES["any"] + [entry for engine in engines for entry in PACKAGES[engine]]
    return [package for package, is_present in required if not is_present()]


# --- processes ----------------------------------------------------------------------


class LabError(Exception):
    """An error message for the user."""


class Stopped(Exception):
    """The lab was stopped while it started."""


PRCTL = ctypes.CDLL(None).prctl
PR_SET_PDEATHSIG = 1
SUPERVISOR = os.getpid()
STOPPING = threading.Event()  # once set, no further process is started


def die_with_supervisor(last_signal):
    """For the child, before exec: no child survives a `kill -9` of this program."""

    def prepare():
        PRCTL(PR_SET_PDEATHSIG, int(last_signal))
        if os.getppid() != SUPERVISOR:  # the supervisor died before the line above
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare if last_signal else None


async def spawn(*command, log, last, stdin=asyncio.subprocess.DEVNULL, env=None):
    """Starts a program with its output in `log`, as `nobody` if this program runs as root.

    `last` is the signal that the program gets if this one is killed. This must run in the
    main thread, because PR_SET_PDEATHSIG refers to the thread that forked."""
    if STOPPING.is_set():
        raise Stopped
    nobody = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
    with open(log, "ab") as output:
        return await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C", "TZ": "UTC", **(env or {})},
            start_new_session=True,  # ^C in the terminal reaches this program only
            preexec_fn=die_with_supervisor(last),
            **(nobody if ROOT else {}),
        )


async def run(*command, log, text=None, env=None):
    """Runs a program with `text` as its stdin, and waits for it.

    The program is never interrupted: it exits within a second, and an interrupted initdb
    leaves shared memory outside DIR."""
    stdin = asyncio.subprocess.DEVNULL if text is None else asyncio.subprocess.PIPE
    process = await spawn(*command, log=log, last=None, stdin=stdin, env=env)
    await process.communicate(text and text.encode())
    if process.returncode != 0:
        raise LabError(f"{Path(command[0]).name} failed:\n{tail(log)}")


def tail(log, lines=25):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def set_owner(path):
    """Makes the servers' user the owner of a file that root has created."""
    if ROOT:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    return path


def folder(path):
    path.mkdir(0o700)
    return set_owner(path)


def write(path, text):
    path.write_text(text)
    return set_owner(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- TLS ----------------------------------------------------------------------------


async def make_authority(tls, name):
    """Creates a CA: NAME.pem and NAME-key.pem."""
    await openssl_certificate(tls, name, "-addext", "basicConstraints=critical,CA:TRUE")


async def make_server_certificate(tls):
    await openssl_certificate(
        tls,
        "server",
        *("-CA", tls / "ca.pem", "-CAkey", tls / "ca-key.pem"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", f"subjectAltName=DNS:*.{DOMAIN},DNS:*.{DSQL_DOMAIN}"),
    )


async def openssl_certificate(tls, name, *options):
    # The system's openssl.cnf could add settings.
    config = write(tls / f"{name}.cnf", "[req]\ndistinguished_name = name\n[name]\n")
    await run(
        *("openssl", "req", "-x509", "-config", config, "-days", "2", "-nodes"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-subj", f"/CN=rds-token lab {name}"),
        *("-keyout", tls / f"{name}-key.pem", "-out", tls / f"{name}.pem"),
        *options,
        log=tls / "openssl.log",
    )


async def make_certificates(tls):
    folder(tls)
    await make_authority(tls, "ca")
    await make_authority(tls, "other_ca")
    await make_server_certificate(tls)


# --- servers ------------------------------------------------------------------------


class Server:
    """The common part of all engines: folder, port, log, verifier, start and stop."""

    dsql_host = None
    compiler_options = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]

    def __init__(self, directory, verdicts):
        self.folder = folder(directory / self.engine)
        self.log = self.folder / "server.log"
        self.data = self.folder / "data"
        self.verifier = self.folder / "verifier.sock"
        self.module = self.folder / f"{self.source}.so"
        self.port = free_port()
        self.tls = directory / "tls"
        self.krb5_config = directory / "krb5.conf"
        self.keytab = directory / Kerberos.engine / "postgres.keytab"
        self.verdicts = verdicts
        self.process = None

    async def start(self, certificates):
        await self.start_verifier()
        await self.build()
        await self.create_data()
        await asyncio.wait([certificates])
        await self.launch_and_wait()

    async def launch_and_wait(self):
        self.process = await self.launch()
        while self.ready_line not in self.log.read_bytes() and not STOPPING.is_set():
            if self.process.returncode is not None:
                raise LabError(f"{self.engine} did not start:\n{tail(self.log)}")
            await asyncio.sleep(0.02)

    async def start_verifier(self):
        endpoint = Endpoint(HOST, self.port, REGION, self.dsql_host)
        keys = {key.access_key_id: key for key in KEYS.values()}
        await serve(self.verifier, self.engine, endpoint, keys, self.verdicts)
        set_owner(self.verifier)

    async def build(self):
        # The source is passed on stdin, because `nobody` may not be able to read its folder.
        header = (HERE / "verifier_client.h").read_text()
        source = (HERE / f"{self.source}.c").read_text()
        text = source.replace('#include "verifier_client.h"', header)
        log = self.folder / "build.log"
        await run("cc", *self.compiler_options, "-xc", "-", "-o", self.module, log=log, text=text)

    async def stop(self):
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(self.stop_signal)
        await asyncio.wait([asyncio.ensure_future(self.process.wait())], timeout=10)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class MariaDB(Server):
    engine = "mariadb"
    source = "aws_authentication_plugin"
    ready_line = b"ready for connections"
    stop_signal = signal.SIGTERM
    admin_plugin = "unix_socket"
    master = "admin"

    @property
    def server(self):
        return program("mariadbd")

    @property
    def options(self):
        return [
            "--no-defaults",
            *self.directories,
            "--innodb=OFF",  # one row needs only Aria, and InnoDB makes the start slow
            "--default-storage-engine=Aria",
            "--aria-pagecache-buffer-size=8M",
            "--key-buffer-size=1M",
        ]

    @property
    def directories(self):
        return [
            f"--datadir={self.data}",
            f"--tmpdir={self.folder}",
            f"--plugin-dir={self.folder}",
        ]

    async def create_data(self):
        """Creates the system tables without data, so without root and anonymous users."""
        tables = glob.glob("/usr/share/m*/m*_system_tables.sql")
        if not tables:
            raise LabError("no mariadb_system_tables.sql; reinstall mariadb-server-core")
        sql = "CREATE DATABASE mysql;\nUSE mysql;\n" + Path(tables[0]).read_text()
        folder(self.data)
        await run(self.server, *self.options, "--bootstrap", log=self.log, text=sql)

    def first_statements(self):
        yield f"CREATE USER {sql_text(ADMIN)}@'localhost' IDENTIFIED WITH {self.admin_plugin}"
        yield f"GRANT ALL ON *.* TO {sql_text(ADMIN)}@'localhost' WITH GRANT OPTION"
        yield (
            f"CREATE USER {self.master}@'%' IDENTIFIED BY {backslash_text(MASTER_PASSWORD)} "
            "REQUIRE SSL"
        )
        # As on RDS: all privileges on data, but not SUPER.
        yield f"GRANT {MASTER_PRIVILEGES} ON *.* TO {self.master}@'%' WITH GRANT OPTION"
        yield f"CREATE DATABASE {DATABASE}"
        yield f"CREATE TABLE {DATABASE}.greeting (text VARCHAR(80))"
        yield f"INSERT INTO {DATABASE}.greeting VALUES ('hello from {self.engine}')"
        for user in map(sql_text, USERS):
            yield (
                f"CREATE USER {user}@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' "
                "REQUIRE SSL"
            )
            yield f"GRANT ALL ON {DATABASE}.* TO {user}@'%'"

    async def launch(self):
        statements = "".join(f"{statement};\n" for statement in self.first_statements())
        first = write(self.folder / "first.sql", statements)
        return await spawn(
            self.server,
            *self.options,
            f"--plugin-load-add={self.module.name}",
            f"--init-file={first}",
            *("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.socket}"),
            f"--pid-file={self.folder / 'server.pid'}",
            f"--ssl-cert={self.tls / 'server.pem'}",
            f"--ssl-key={self.tls / 'server-key.pem'}",
            "--skip-name-resolve",
            "--max-connections=300",
            log=self.log,
            last=signal.SIGKILL,
            env={"RDS_LAB_VERIFIER": str(self.verifier)},
        )

    @property
    def socket(self):
        return self.folder / "server.sock"

    def description(self):
        return {
            "port": self.port,
            "socket": str(self.socket),
            "log": str(self.log),
            "master": self.master,
        }


class MySQL(MariaDB):
    """MySQL, which has nearly the same options and statements as MariaDB."""

    engine = "mysql"
    compiler_options = [*MariaDB.compiler_options, "-DFOR_MYSQL"]
    stop_signal = signal.SIGKILL  # the data is removed, and a clean shutdown takes a second
    server = mysql_from_sid.BIN / "mysqld"
    admin_plugin = "auth_socket"

    @property
    def options(self):
        return [
            *mysql_from_sid.options(),
            *self.directories,
            "--plugin-load-add=auth_socket.so",
            "--mysqlx=OFF",
            "--performance-schema=OFF",
            "--auto-generate-certs=OFF",
            "--caching-sha2-password-auto-generate-rsa-keys=OFF",
            "--gtid-mode=OFF",  # as on RDS: mysqldump would want more privileges
            "--sync-binlog=0",  # the binlog itself is on, for mysqlbinlog
            "--innodb-redo-log-capacity=8M",
            "--innodb-flush-method=nosync",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=OFF",
            "--innodb-use-native-aio=OFF",
            "--innodb-buffer-pool-size=16M",
            "--innodb-buffer-pool-load-at-startup=OFF",
        ]

    async def create_data(self):
        # ADMIN logs in with the first. Without the second, mysqld logs an error.
        for name in ("auth_socket.so", "component_reference_cache.so"):
            shutil.copy(mysql_from_sid.PLUGINS / name, self.folder)
        await asyncio.to_thread(shutil.copytree, mysql_from_sid.DATA, self.data)
        for path in (self.data, *self.data.rglob("*")):
            set_owner(path)

    def first_statements(self):
        yield "DROP USER root@localhost"
        yield from super().first_statements()
        for user in map(sql_text, USERS):  # for mysqldump and mysqlbinlog
            yield f"GRANT PROCESS, REPLICATION SLAVE ON *.* TO {user}@'%'"
            yield f"GRANT SELECT ON performance_schema.* TO {user}@'%'"

    def description(self):
        return {
            **super().description(),
            "bin": str(mysql_from_sid.BIN),  # Oracle's clients
            "nss_wrapper": nss_wrapper(),  # works with sid's libc too
        }


class PostgreSQL(Server):
    engine = "postgres"
    source = "pam_rds_iam"
    ready_line = b"ready to accept connections"
    stop_signal = signal.SIGINT  # "fast" shutdown; SIGTERM waits for the clients
    master = "postgres"
    dsql_host = DSQL_HOST

    async def create_data(self):
        options = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"]
        options += ["--auth=peer", f"--username={ADMIN}", "--wal-segsize=1"]
        await run(program("initdb"), *options, "-D", self.data, log=self.log)
        self.configure()
        # In single-user mode, the users exist before the port is open. The database is
        # created last, as a copy of template1.
        statements = "".join(f"{statement};\n" for statement in self.first_statements())
        single = ["--single", "-D", self.data, "-c", "exit_on_error=on", "template1"]
        await run(program("postgres"), *single, log=self.log, text=statements)

    def configure(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "ssl": "on",
            "ssl_cert_file": self.tls / "server.pem",
            "ssl_key_file": self.tls / "server-key.pem",
            "krb_server_keyfile": self.keytab,
            "max_connections": 300,
            "shared_buffers": "16MB",
            "dynamic_shared_memory_type": "mmap",  # in the data directory, not in /dev/shm
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "autovacuum": "off",
        }
        lines = (f"{name} = {sql_text(str(value))}\n" for name, value in settings.items())
        write(self.data / "postgresql.conf", "".join(lines))
        write(
            self.data / "pg_hba.conf",
            "local      all all      peer\n"
            # The master user can grant rds_iam, which makes it a member, but not on RDS.
            f"hostssl    all {self.master} all scram-sha-256\n"
            "hostssl    all +rds_iam all pam pamservice=rds\n"
            "hostgssenc all +rds_iam all pam pamservice=rds\n"
            "hostnossl  all +rds_iam all reject\n"
            "hostssl    all all      all scram-sha-256\n",
        )

    def first_statements(self):
        yield "CREATE ROLE rds_iam"
        password = sql_text(MASTER_PASSWORD)
        yield f"CREATE ROLE {self.master} LOGIN CREATEROLE CREATEDB PASSWORD {password}"
        yield f"GRANT rds_iam TO {self.master} WITH ADMIN OPTION"
        yield "CREATE TABLE greeting (text text)"
        yield "INSERT INTO greeting VALUES ('hello from postgres')"
        for user in map(sql_name, [*USERS, DSQL_ADMIN]):
            yield f"CREATE USER {user}"
            yield f"GRANT rds_iam TO {user}"
            yield f"GRANT ALL ON greeting TO {user}"
        yield f"ALTER TABLE greeting OWNER TO {self.master}"
        yield f"CREATE DATABASE {sql_name(DATABASE)} OWNER {self.master}"

    async def launch(self):
        pam = folder(self.folder / "pam.d")
        write(
            pam / "rds",
            f"auth    required {self.module} {self.verifier}\naccount required {self.module}\n",
        )
        return await spawn(
            *(program("postgres"), "-D", self.data),
            log=self.log,
            last=signal.SIGQUIT,  # the postmaster stops its children
            env={
                "LD_PRELOAD": str(self.module),
                "RDS_LAB_PAM_DIRECTORY": str(pam),
                "KRB5_CONFIG": str(self.krb5_config),
            },
        )

    def description(self):
        return {
            "port": self.port,
            "socket": str(self.folder),
            "log": str(self.log),
            "master": self.master,
        }


class Kerberos(Server):
    """An MIT KDC. Its tickets let a client encrypt a connection to PostgreSQL without TLS."""

    engine = "kerberos"
    source = None  # no module is built
    ready_line = b"commencing operation"
    stop_signal = signal.SIGTERM
    realm = "LAB.TEST"
    user = "jane"
    password = "lab-password"

    @property
    def env(self):
        return {name: str(self.krb5_config) for name in ("KRB5_CONFIG", "KRB5_KDC_PROFILE")}

    async def start(self, _certificates):
        self.configure()
        await self.create_data()
        await self.launch_and_wait()

    def configure(self):
        """Writes the file that the KDC, PostgreSQL and clients share."""
        self.krb5_config.write_text(f"""\
[libdefaults]
    default_realm = {self.realm}
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    # The default replay cache is a file in /var/tmp.
    default_rcache_name = none:
[realms]
    {self.realm} = {{
        kdc = 127.0.0.1:{self.port}
        kdc_listen = ""
        kdc_tcp_listen = 127.0.0.1:{self.port}
        database_name = {self.folder}/principal
        key_stash_file = {self.folder}/stash
    }}
[logging]
    default = STDERR
""")
        os.chmod(self.krb5_config, 0o644)

    async def create_data(self):
        service = f"postgres/{HOST}"
        create = ["create", "-s", "-r", self.realm, "-P", self.password]
        await run(program("kdb5_util"), *create, log=self.log, env=self.env)
        principals = (
            f"addprinc -pw {self.password} {self.user}\n"
            f"addprinc -randkey {service}\n"
            f"ktadd -k {self.keytab} {service}\n"
        )
        await run(program("kadmin.local"), log=self.log, text=principals, env=self.env)

    async def launch(self):
        return await spawn(
            *(program("krb5kdc"), "-n"), log=self.log, last=signal.SIGKILL, env=self.env
        )

    def description(self):
        return {
            "config": str(self.krb5_config),
            "user": self.user,
            "password": self.password,
        }


MASTER_PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, "
    "SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, "
    "REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, "
    "EVENT, TRIGGER"
)

ENGINES = {"mariadb": MariaDB, "mysql": MySQL, "postgres": PostgreSQL}


def sql_text(text):
    return "'" + text.replace("'", "''") + "'"


def backslash_text(text):
    return sql_text(text.replace("\\", "\\\\"))


def sql_name(name):
    return '"' + name.replace('"', '""') + '"'


# --- the lab ------------------------------------------------------------------------


def write_hosts(path):
    path.write_text(f"127.0.0.1 {HOST} {OTHER_HOST} {OUTSIDE_HOST} {DSQL_HOST} localhost\n")
    os.chmod(path, 0o644)


def publish_authorities(directory, tls):
    """Copies the two CA certificates out of the private folder with their keys."""
    for name in ("ca.pem", "other_ca.pem"):
        shutil.copy(tls / name, directory / name)
        os.chmod(directory / name, 0o644)


def description(directory, servers):
    return {
        "dir": str(directory),
        "ca": str(directory / "ca.pem"),
        "other_ca": str(directory / "other_ca.pem"),
        "host": HOST,
        "other_host": OTHER_HOST,
        "outside_host": OUTSIDE_HOST,
        "dsql_host": DSQL_HOST,
        "region": REGION,
        "hosts_file": str(directory / "hosts"),
        "nss_wrapper": nss_wrapper(),
        **{server.engine: server.description() for server in servers},
        "admin": ADMIN,
        "user": USERS[0],
        "users": USERS,
        "database": DATABASE,
        "master_password": MASTER_PASSWORD,
        "keys": [{"name": name, **vars(key)} for name, key in KEYS.items()],
        "verdicts": str(directory / "verdicts.jsonl"),
    }


async def start_all(directory, servers, tls):
    """Starts all servers at once. If one fails, the others stop too."""
    certificates = asyncio.ensure_future(make_certificates(tls))
    starts = [asyncio.ensure_future(server.start(certificates)) for server in servers]
    tasks = [certificates, *starts]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    if pending:
        STOPPING.set()
        await asyncio.wait(pending)
    failures = [task.exception() for task in tasks if task.exception()]
    if failures:  # Stopped is only the consequence of another failure
        raise min(failures, key=lambda failure: isinstance(failure, Stopped))
    if STOPPING.is_set():
        raise Stopped
    write_hosts(directory / "hosts")
    publish_authorities(directory, tls)
    print(json.dumps(description(directory, servers)), flush=True)


async def wait_for_stop():
    """Returns at the end of stdin, or after SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def wait_for_end_of_stdin():
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    # In a thread, because the loop can't watch a stdin that is a file or /dev/null.
    threading.Thread(target=wait_for_end_of_stdin, daemon=True).start()
    await stop.wait()


async def wait_for_failure(servers):
    """Raises LabError when a server exits."""
    running = [asyncio.ensure_future(server.process.wait()) for server in servers]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    if not STOPPING.is_set():
        dead = next(server for server in servers if server.process.returncode is not None)
        raise LabError(f"{dead.engine} exited unexpectedly:\n{tail(dead.log)}")


async def live(directory, servers):
    await start_all(directory, servers, directory / "tls")
    await wait_for_failure(servers)


async def supervise(directory, engines):
    os.chmod(directory, 0o755)  # `nobody` must enter it; secrets are in folders of mode 0700
    with open(directory / "verdicts.jsonl", "a") as verdicts:
        servers = [ENGINES[engine](directory, verdicts) for engine in engines]
        if "postgres" in engines and has_kerberos():
            servers.append(Kerberos(directory, verdicts))
        life = asyncio.ensure_future(live(directory, servers))
        stop = asyncio.ensure_future(wait_for_stop())
        await asyncio.wait([life, stop], return_when=asyncio.FIRST_COMPLETED)
        STOPPING.set()
        while not life.done():  # a server may still be starting
            await asyncio.gather(*(server.stop() for server in servers))
            await asyncio.wait([life], timeout=0.1)
        await asyncio.gather(*(server.stop() for server in servers))
        life.result()  # raises the error, if any


def command_run(engines, directory):
    os.umask(0o077)
    missing = missing_packages(engines)
    if missing:
        raise LabError(f"missing Debian packages: {' '.join(missing)}; run `make setup`")
    if directory:
        os.mkdir(directory)  # must be new, because it is removed later
    else:
        directory = tempfile.mkdtemp(prefix="rds-lab-")
    try:
        asyncio.run(supervise(Path(directory).resolve(), engines))
    finally:
        shutil.rmtree(directory)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    engines = [*ENGINES, "all"]
    start = commands.add_parser("run")
    start.add_argument("engines", nargs=1, choices=engines)
    start.add_argument("--dir", help="a folder to create, use and remove")
    check = commands.add_parser("check")
    check.add_argument("engines", nargs="*", choices=engines, default="all")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    engines = list(ENGINES) if "all" in arguments.engines else arguments.engines
    if arguments.command == "check":
        print(" ".join(missing_packages(engines)))
        return
    try:
        command_run(engines, arguments.dir)
    except Stopped:
        pass
    except (LabError, OSError) as error:
        sys.exit(f"lab: {error}")


if __name__ == "__main__":
    main()
