//! Name lookup in `/etc/hosts` and with the servers in `/etc/resolv.conf`, in a namespace with its own copies of both.

use std::process::Command;

use crate::harness::{KEYS, PROGRAM, Sandbox, TARGET, can_mount, is_root, key_id, skip, texts};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";

/// Serves DNS and STS: `servers.py CA KEY READY`. DNS over UDP answers `sts.lab.test` with 127.0.0.9, and every other
/// name with "no such name". STS is served over TLS at that address. READY is created when both servers listen.
const SERVERS: &str = r#"
import datetime, http.server, socket, ssl, struct, sys, threading

def answer(query):
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += query[at] + 1
    kind = struct.unpack('>H', query[at + 1:at + 3])[0]
    question = query[12:at + 5]
    exists = '.'.join(name) == 'sts.lab.test'
    record = b''
    if exists and kind == 1:
        record = b'\xc0\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + socket.inet_aton('127.0.0.9')
    flags = 0x8180 if exists else 0x8183
    return query[:2] + struct.pack('>HHHHH', flags, 1, 1 if record else 0, 0, 0) + question + record

def serve_dns():
    while True:
        query, peer = dns.recvfrom(4096)
        dns.sendto(answer(query), peer)

class Sts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        keys = '<AccessKeyId>ASIADNS</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>'
        keys += f'<Expiration>{end:%Y-%m-%dT%H:%M:%SZ}</Expiration>'
        body = f'<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>'
        body = f'<AssumeRoleResponse>{body}</AssumeRoleResponse>'.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    log_message = lambda self, *args: None

dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(('127.0.0.53', 53))
threading.Thread(target=serve_dns, daemon=True).start()
server = http.server.ThreadingHTTPServer(('127.0.0.9', 443), Sts)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
open(sys.argv[3], 'w').close()
threading.Timer(60, server.shutdown).start()
server.serve_forever()
"#;

#[test]
#[ignore = "needs root"]
fn names_are_looked_up_in_the_hosts_file_and_in_dns() {
    let test = "names_are_looked_up_in_the_hosts_file_and_in_dns";
    let has_net =
        || Command::new("unshare").args(["--net", "true"]).output().is_ok_and(|output| output.status.success());
    if !is_root() || !can_mount() || !has_net() {
        return skip(test, "needs root, a mount namespace and a network namespace");
    }
    let sandbox = Sandbox::new();
    let (key, ca) = (sandbox.path("key.pem"), sandbox.path("ca.pem"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sts.lab.test"]);
    make.args(["-addext", "subjectAltName=DNS:sts.lab.test,DNS:in-file.lab.test"]);
    make.args(["-addext", "basicConstraints=critical,CA:FALSE"]).arg("-keyout").arg(&key).arg("-out").arg(&ca);
    assert!(make.output().unwrap().status.success());
    let servers = sandbox.write("servers.py", SERVERS);
    let resolv = sandbox.write(
        "resolv.conf",
        "# a comment\nsearch _odd -bad.lab lab.test\nnameserver 127.0.0.53\noptions timeout:5 attempts:1\n",
    );
    let hosts = sandbox.write("hosts", "");
    // The comment is not UTF-8.
    std::fs::write(&hosts, b"127.0.0.1 localhost\n127.0.0.9 in-file.lab.test # J\xfcrgen's\n").unwrap();
    let ready = sandbox.path("ready");
    let script = "set -e; ip link set lo up
        mount --bind \"$1\" /etc/resolv.conf; mount --bind \"$2\" /etc/hosts
        rm -f \"$6\"; (python3 \"$3\" \"$4\" \"$5\" \"$6\" >/dev/null 2>&1 &)
        while [ ! -e \"$6\" ]; do sleep 0.05; done; shift 6; exec \"$@\"";
    let run = |url: &str, args: &[&str]| {
        let mut command = sandbox.command("unshare");
        command
            .args(["--mount", "--net", "sh", "-c", script, "sh"])
            .args([&resolv, &hosts, &servers, &ca, &key, &ready]);
        command.arg(PROGRAM).args(args).envs(KEYS).env("AWS_CA_BUNDLE", &ca).env("AWS_ENDPOINT_URL_STS", url);
        let output = command.output().unwrap();
        (output.status.code(), texts(&output))
    };
    let role = [TARGET, "--no-cache", "--role-arn", ROLE, "--timeout", "20s"];
    for url in ["https://sts.lab.test", "https://STS.lab.test", "https://in-file.lab.test"] {
        let (code, (stdout, stderr)) = run(url, &role);
        assert_eq!(code, Some(0), "{url}: {stderr}");
        assert_eq!(key_id(&stdout), "ASIADNS", "{url}");
    }
    let (code, (_, stderr)) = run("https://nowhere.lab.test", &role);
    assert!(code == Some(4) && stderr.contains("nowhere.lab.test") && stderr.contains("check the network"), "{stderr}");
    // A short name of a tunnel is in the search domain. An unknown name is an error.
    let env = ["env", "--shell", "sh", "postgres://app@db.abc123.eu-west-1.rds.amazonaws.com", "--ca"];
    let ca_file = ca.to_str().unwrap();
    let (code, (stdout, stderr)) = run("", &[&env[..], &[ca_file, "--via", "sts:5433"]].concat());
    assert!(code == Some(0) && stdout.contains("PGHOSTADDR='127.0.0.9'"), "{stderr}");
    let (code, (_, stderr)) = run("", &[&env[..], &[ca_file, "--via", "unknown:5433", "--timeout", "20s"]].concat());
    assert!(code == Some(4) && stderr.contains("via: could not look up unknown"), "{stderr}");
    let (code, (_, stderr)) = run("", &[&env[..], &[ca_file, "--via", "127.1:5433"]].concat());
    assert!(code == Some(4) && stderr.contains("it is not a host name"), "{stderr}");
    // A file that is a pipe does not block.
    let fifo = sandbox.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for path in ["/etc/resolv.conf", "/etc/hosts"] {
        let mut command = sandbox.command("unshare");
        let script = "mount --bind \"$1\" \"$2\"; shift 2; exec \"$@\"";
        command.args(["--mount", "--net", "sh", "-c", script, "sh"]).arg(&fifo).args([path, PROGRAM]).args(role);
        command.envs(KEYS).env("AWS_ENDPOINT_URL_STS", "https://sts.lab.test");
        let output = command.output().unwrap();
        let stderr = texts(&output).1;
        assert!(output.status.code() == Some(4) && stderr.contains("could not connect"), "{path}: {stderr}");
    }
}
