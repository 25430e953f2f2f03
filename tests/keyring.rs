//! `--cache keyring` with this machine's kernel keyring and a real GNOME Keyring.

use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{HOST, KEYS, PROGRAM, Run, Sandbox, Server, has, is_root, skip, texts};

const ROLE: &str = "arn:aws:iam::123456789012:role/lab";

/// A sandbox with a unique target, because all tests share their user's kernel keyring. Dropping it removes the
/// target's tokens.
struct Shared {
    sandbox: Sandbox,
    target: String,
}

impl Shared {
    fn new() -> Self {
        Self { sandbox: Sandbox::new(), target: format!("test{:016x}@{HOST}:3306", fastrand::u64(..)) }
    }

    /// A sandbox, or `None` if this machine has no usable kernel keyring.
    fn with_kernel(test: &str) -> Option<Self> {
        if !has("keyctl") {
            skip(test, "keyctl is not installed");
            return None;
        }
        if !Command::new("keyctl").args(["show", "@u"]).stdout(Stdio::null()).status().unwrap().success() {
            skip(test, "the kernel's keyring can't be used here");
            return None;
        }
        Some(Self::new())
    }

    fn run(&self, args: &[&str]) -> Run {
        self.sandbox.rds_token([&[self.target.as_str(), "--cache", "keyring"], args].concat())
    }

    /// The name of the only entry.
    fn name(&self) -> String {
        let locks = self.sandbox.cached("lock");
        assert_eq!(locks.len(), 1, "{locks:?}");
        locks[0].file_stem().unwrap().to_str().unwrap().to_owned()
    }

    /// The serial number of the entry's key.
    fn key(&self) -> String {
        keyctl(&["search", "@u", "user", &format!("rds-token:{}", self.name())])
    }

    /// The key's timeout, permissions and owner. `None` if the kernel does not show them.
    fn key_details(&self, test: &str) -> Option<(String, String, String)> {
        let keys = std::fs::read_to_string("/proc/keys").unwrap_or_default();
        let Some(line) = keys.lines().find(|line| line.contains(&self.name())) else {
            skip(test, "/proc/keys does not show keys on this machine");
            return None;
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some((fields[3].to_owned(), fields[4].to_owned(), fields[5].to_owned()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let args = ["cache", "clear", &self.target, "--cache", "keyring", "-q"];
        let _ = self.sandbox.without_keys(args).command.output();
    }
}

#[track_caller]
fn keyctl(args: &[&str]) -> String {
    let (stdout, stderr) = texts(&Command::new("keyctl").args(args).output().unwrap());
    assert_eq!(stderr, "", "{args:?}");
    stdout.trim_end().to_owned()
}

/// Waits for more than a second, so that a new signature has another date.
fn wait_for_another_date() {
    std::thread::sleep(Duration::from_millis(1100));
}

/// Expects a token and one warning, which contains all `parts` and no secret.
#[track_caller]
fn assert_uncached(run: Run, parts: &[&str]) {
    let begin = Instant::now();
    let (token, stderr) = run.env("RUST_LOG", "trace").warns();
    assert!(token.starts_with(HOST), "{token}");
    assert!(stderr.starts_with("rds-token: warning: ") && stderr.matches('\n').count() == 1, "{stderr}");
    assert!(parts.iter().all(|part| stderr.contains(part)), "{stderr}");
    assert!(!stderr.contains("X-Amz") && !stderr.contains(KEYS[1].1), "{stderr}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
#[ignore = "needs a keyring"]
fn the_kernel_caches_a_token_for_all_sessions_of_its_user() {
    let test = "the_kernel_caches_a_token_for_all_sessions_of_its_user";
    let Some(shared) = Shared::with_kernel(test) else { return };
    let first = shared.run(&[]).succeeds();
    wait_for_another_date();
    assert_eq!(shared.run(&[]).succeeds(), first);
    assert_eq!(shared.sandbox.cached("token").len(), 0, "a file was written");
    // A new session without links to other keyrings, as in an ssh login or a cron job.
    let mut session = shared.sandbox.command("keyctl");
    session.args(["session", "-", PROGRAM, &shared.target, "--cache", "keyring"]).envs(KEYS);
    let (stdout, stderr) = texts(&session.output().unwrap());
    assert_eq!(stdout, first, "{stderr}");
    wait_for_another_date();
    let new = shared.run(&["--refresh"]).succeeds();
    assert_ne!(new, first);
    assert_eq!(shared.run(&[]).succeeds(), new);
    assert_ne!(shared.run(&[]).env(KEYS[0].0, "AKIDOTHER").succeeds(), new, "the token of another identity");
    let (_, stderr) = shared.run(&["-v"]).warns();
    assert!(stderr.contains("from the cache (hit)") && !stderr.contains("X-Amz"), "{stderr}");
}

#[test]
#[ignore = "needs a keyring"]
fn environment_and_configuration_select_the_keyring() {
    let test = "environment_and_configuration_select_the_keyring";
    let Some(shared) = Shared::with_kernel(test) else { return };
    let run = || shared.sandbox.rds_token([&shared.target]);
    let first = run().env("RDS_TOKEN_CACHE", "keyring").succeeds();
    wait_for_another_date();
    shared.sandbox.write(".config/rds-token/config.toml", "[defaults]\ncache = 'keyring'\n");
    assert_eq!(run().succeeds(), first);
    let line = run().env("RDS_TOKEN_KEYRING", "wallet").fails(2);
    assert!(line.contains("RDS_TOKEN_KEYRING is 'wallet'; set it to kernel or secret-service"), "{line}");
}

#[test]
#[ignore = "needs a keyring"]
fn the_kernel_removes_a_token_when_it_expires() {
    let test = "the_kernel_removes_a_token_when_it_expires";
    let Some(shared) = Shared::with_kernel(test) else { return };
    shared.run(&[]).succeeds();
    let Some((time, permissions, owner)) = shared.key_details(test) else { return };
    // The user may view, read and search it. A possessor may also link it. All other access is denied.
    assert_eq!((time.as_str(), permissions.as_str()), ("14m", "1b0b0000"));
    assert_eq!(owner, rustix::process::getuid().as_raw().to_string());
    let sts = Server::sts(Duration::ZERO, 400);
    let shorter = Shared::new();
    shorter.run(&["--role-arn", ROLE]).env("AWS_ENDPOINT_URL_STS", &sts.url).succeeds();
    assert_eq!(shorter.key_details(test).unwrap().0, "6m", "the credentials expire before the token");
}

#[test]
#[ignore = "needs a keyring"]
fn a_damaged_key_is_a_miss_and_is_replaced() {
    let Some(shared) = Shared::with_kernel("a_damaged_key_is_a_miss_and_is_replaced") else { return };
    let mut token = shared.run(&[]).succeeds();
    let whole = keyctl(&["pipe", &shared.key()]);
    let description = format!("rds-token:{}", shared.name());
    let changed = whole.replace("\"version\":1", "\"version\":2");
    let swapped = whole.replace("DBUser=test", "DBUser=best");
    for payload in ["{", &whole[..whole.len() / 2], "\u{1}garbage", &changed, &swapped] {
        keyctl(&["unlink", &shared.key(), "@u"]);
        keyctl(&["add", "user", &description, payload, "@u"]);
        wait_for_another_date();
        let new = shared.run(&[]).succeeds();
        assert_ne!(new, token, "{payload}");
        assert_eq!(shared.run(&[]).succeeds(), new, "{payload}");
        token = new;
    }
    // A key that its owner may not read.
    keyctl(&["unlink", &shared.key(), "@u"]);
    let key = keyctl(&["add", "user", &description, &whole, "@u"]);
    keyctl(&["setperm", &key, "0x00000000"]);
    let new = shared.run(&[]).succeeds();
    assert_eq!(shared.run(&[]).succeeds(), new);
}

#[test]
#[ignore = "needs a keyring"]
fn a_token_too_long_for_the_kernel_is_printed_but_not_cached() {
    let test = "a_token_too_long_for_the_kernel_is_printed_but_not_cached";
    let Some(shared) = Shared::with_kernel(test) else { return };
    let run = |length| shared.run(&[]).env("AWS_SESSION_TOKEN", "/".repeat(length));
    // Each byte becomes three in the token.
    assert_uncached(run(11_000), &["could not be stored", "the kernel's keyring", "the limit is 32767"]);
    if is_root() {
        run(8_000).succeeds();
    }
}

/// Runs `script` as a new user without keys, in a directory of that user with a copy of the program.
fn as_new_user(sandbox: &Sandbox, script: &str) -> (String, String) {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let user = fastrand::u32(1_000_000..100_000_000);
    let home = sandbox.path("home");
    std::fs::copy(PROGRAM, home.join("rds-token")).unwrap();
    std::fs::set_permissions(sandbox.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(&home, Some(user), None).unwrap();
    let mut command = sandbox.command("setpriv");
    command.args([&format!("--reuid={user}"), "--regid=54321", "--clear-groups", "sh", "-c", script]);
    texts(&command.current_dir(home).envs(KEYS).output().unwrap())
}

#[test]
#[ignore = "needs root"]
fn an_exceeded_quota_is_a_warning() {
    let test = "an_exceeded_quota_is_a_warning";
    let Some(shared) = Shared::with_kernel(test) else { return };
    if !is_root() || !has("setpriv") {
        return skip(test, "only root can become a user without keys");
    }
    let assert_refused = |script: &str, part: &str| {
        let (token, stderr) = as_new_user(&shared.sandbox, script);
        assert!(token.starts_with(HOST), "{stderr}");
        assert!(stderr.contains(part) && stderr.matches('\n').count() == 1, "{stderr}");
    };
    let run = format!("./rds-token {} --cache keyring", shared.target);
    let fill = "for size in 10000 500; do
        n=0
        while head -c $size /dev/zero | keyctl padd user filler$size.$n @u; do n=$((n + 1)); done >/dev/null 2>&1
    done";
    assert_refused(
        &format!("{fill}; {run}; keyctl clear @u"),
        "the quota for this user's keys is exceeded (/proc/sys/kernel/keys/maxbytes)",
    );
    let quota = std::fs::read_to_string("/proc/sys/kernel/keys/maxbytes").unwrap();
    // The kernel's default quota is exceeded. With a larger quota, the size limit of a key would apply first.
    if quota.trim() == "20000" {
        let long = "AWS_SESSION_TOKEN=$(head -c 7000 /dev/zero | tr '\\0' /)";
        assert_refused(
            &format!("{long} {run}"),
            "the quota for this user's keys is 20000 (/proc/sys/kernel/keys/maxbytes)",
        );
    }
}

#[test]
#[ignore = "needs root"]
fn other_users_can_neither_find_nor_read_a_key() {
    let test = "other_users_can_neither_find_nor_read_a_key";
    let Some(shared) = Shared::with_kernel(test) else { return };
    if !is_root() || !has("setpriv") {
        return skip(test, "only root can become another user");
    }
    shared.run(&[]).succeeds();
    let script = format!("keyctl pipe {0} || keyctl link {0} @u || keyctl describe {0}", shared.key());
    let (stdout, stderr) = as_new_user(&shared.sandbox, &script);
    assert_eq!((stdout.as_str(), stderr.matches("Permission denied").count()), ("", 3), "{stderr}");
}

/// Installs a seccomp filter as containers do: the three system calls for keyrings fail with the given errno.
const SECCOMP: &str = "
import ctypes, os, struct, sys
calls = {'x86_64': (248, 249, 250), 'aarch64': (217, 218, 219)}[os.uname().machine]
step = lambda code, yes, no, value: struct.pack('HBBI', code, yes, no, value)
filter = step(0x20, 0, 0, 0)
filter += b''.join(step(0x15, 2 - index, 1 if index == 2 else 0, call) for index, call in enumerate(calls))
filter += step(0x06, 0, 0, 0x50000 | int(sys.argv[1])) + step(0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(filter)
program = struct.pack('HxxxxxxQ', len(filter) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
";

#[test]
#[ignore = "needs a keyring"]
fn a_container_without_the_kernels_keyring_is_a_warning() {
    let test = "a_container_without_the_kernels_keyring_is_a_warning";
    if !has("python3") {
        return skip(test, "python3 is not installed");
    }
    let shared = Shared::new();
    for (errno, part) in [("1", "access is denied, as in many containers"), ("38", "this kernel does not support it")] {
        let mut command = shared.sandbox.command("python3");
        command.args(["-c", SECCOMP, errno, PROGRAM, &shared.target, "--cache", "keyring"]).envs(KEYS);
        assert_uncached(Run { command }, &["no cache: the kernel's keyring", part]);
    }
}

/// Starts `count` processes at the same time. Expects all of them to print the same token and nothing else.
fn run_together(sandbox: &Sandbox, sts: &Server, count: usize, args: &[&str], more: &[(&str, &str)]) {
    let gate = sandbox.path("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.02; done; exec \"$@\"", gate.display());
    let start = |_| -> Child {
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &script, "sh", PROGRAM]).args(args).args(["--cache", "keyring", "--role-arn", ROLE]);
        shell.envs(KEYS).envs(more.iter().copied()).env("AWS_ENDPOINT_URL_STS", &sts.url);
        shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..count).map(start).collect();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(gate, "").unwrap();
    let outputs: Vec<_> = children.into_iter().map(|child| texts(&child.wait_with_output().unwrap())).collect();
    assert!(outputs[0].0.starts_with(HOST), "{}", outputs[0].1);
    assert!(outputs.iter().all(|output| *output == (outputs[0].0.clone(), String::new())), "{outputs:?}");
}

#[test]
#[ignore = "needs a keyring"]
fn twenty_misses_in_the_kernels_keyring_make_one_request() {
    let Some(shared) = Shared::with_kernel("twenty_misses_in_the_kernels_keyring_make_one_request") else { return };
    let sts = Server::sts(Duration::from_millis(300), 3600);
    run_together(&shared.sandbox, &sts, 20, &[&shared.target], &[]);
    assert_eq!(sts.requests(), 1);
}

#[test]
#[ignore = "needs a keyring"]
fn a_token_is_cached_without_a_directory_for_locks() {
    let test = "a_token_is_cached_without_a_directory_for_locks";
    let Some(shared) = Shared::with_kernel(test) else { return };
    let run = || shared.run(&[]).env("RDS_TOKEN_CACHE_DIR", "/proc/nowhere");
    let first = run().succeeds();
    wait_for_another_date();
    assert_eq!(run().succeeds(), first);
}

#[test]
#[ignore = "needs a keyring"]
fn list_and_clear_reach_the_keyring() {
    let Some(shared) = Shared::with_kernel("list_and_clear_reach_the_keyring") else { return };
    let cache = |args: &[&str]| shared.sandbox.without_keys([&["cache"], args].concat());
    shared.run(&[]).succeeds();
    assert!(!cache(&["list"]).succeeds().contains(&shared.target), "the keyring is not selected");
    let listed = cache(&["list", "--cache", "keyring"]).succeeds();
    assert!(listed.contains(&shared.target) && !listed.contains("X-Amz"), "{listed}");
    assert!(cache(&["list"]).env("RDS_TOKEN_CACHE", "keyring").succeeds().contains(&shared.target));
    shared.sandbox.write(".config/rds-token/config.toml", "[target.some]\nhost = 'x.y'\ncache = 'keyring'\n");
    assert!(cache(&["list"]).succeeds().contains(&shared.target));
    let (path, stderr) = cache(&["path"]).warns();
    assert_eq!(path.trim_end(), shared.sandbox.cache().to_str().unwrap());
    assert!(stderr.contains("tokens are in the kernel's keyring"), "{stderr}");
    cache(&["clear", &shared.target]).succeeds();
    assert!(!cache(&["list"]).succeeds().contains(&shared.target));
}

#[test]
#[ignore = "needs a keyring"]
fn clear_removes_every_token_of_the_keyring() {
    let test = "clear_removes_every_token_of_the_keyring";
    let Some(shared) = Shared::with_kernel(test) else { return };
    // A user namespace has its own keyring, so that no other tokens are removed.
    let namespace = ["--user", "--map-root-user"];
    // In an ordinary user's namespace, `/` belongs to another user, so the cache is not used.
    if !is_root()
        || !Command::new("unshare").args(namespace).arg("true").stderr(Stdio::null()).status().unwrap().success()
    {
        return skip(test, "needs root and user namespaces");
    }
    let script = format!(
        "export RDS_TOKEN_CACHE=keyring; for user in ann bob eve; do {PROGRAM} $user@{HOST}:5432 >/dev/null; done
         keyctl add user rds-token:damaged x @u >/dev/null; keyctl add user anothers x @u >/dev/null
         {PROGRAM} cache list | wc -l; {PROGRAM} cache clear -v; {PROGRAM} cache list | wc -l
         keyctl list @u | grep -c 'user: '"
    );
    let mut command = shared.sandbox.command("unshare");
    command.args(namespace).args(["sh", "-ec", &script]).envs(KEYS);
    let (stdout, stderr) = texts(&command.output().unwrap());
    assert_eq!((stdout.as_str(), stderr.as_str()), ("3\n0\n1\n", "rds-token: removed 4 tokens\n"));
}

/// Runs `script` on a new bus with GNOME Keyring, and returns its stdout. The default keyring is unlocked. `$program`
/// is the program, the function `lock` locks the keyring, and the file `err` is checked for secrets.
fn with_secret_service(test: &str, sandbox: &Sandbox, script: &str) -> Option<String> {
    for program in ["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "secret-tool"] {
        if !has(program) {
            skip(test, &format!("{program} is not installed"));
            return None;
        }
    }
    let prelude = "
        bus() { dbus-send --session --print-reply \"$@\"; }
        lock() {
            bus --dest=org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.Secret.Service.Lock \\
                array:objpath:/org/freedesktop/secrets/collection/login >/dev/null
        }
        is_there() { bus --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets; }
        printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null
        alias() {
            bus --dest=org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.Secret.Service.ReadAlias \\
                string:default
        }
        until is_there | grep -q true && alias | grep -q collection; do sleep 0.05; done
        ";
    let mut command = sandbox.command("dbus-run-session");
    command.args(["--", "sh", "-euc", &format!("{prelude}{script}")]);
    command.envs(KEYS).env("program", PROGRAM).env("RDS_TOKEN_CACHE", "keyring");
    command.env("RDS_TOKEN_KEYRING", "secret-service").env("RUST_LOG", "trace");
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let stderr = std::fs::read_to_string(sandbox.path("err")).unwrap_or_default();
    assert!(!stderr.contains("X-Amz") && !stderr.contains(KEYS[1].1), "{stderr}");
    Some(stdout)
}

#[test]
#[ignore = "needs a keyring"]
fn the_secret_service_caches_a_token() {
    let test = "the_secret_service_caches_a_token";
    let shared = Shared::new();
    let script = format!(
        "token() {{ $program {} \"$@\" 2>>err; }}
        first=$(token); sleep 1.1
        test \"$(token)\" = \"$first\"
        token -v | grep -q . && grep -q 'from the cache (hit)' err
        test \"$(AWS_ACCESS_KEY_ID=AKIDOTHER token)\" != \"$first\"
        test \"$($program cache list | wc -l)\" = 2
        # One item per key, even after a replacement.
        second=$(token --refresh)
        test \"$second\" != \"$first\" && test \"$(token)\" = \"$second\"
        test \"$($program cache list | wc -l)\" = 2
        # Damaged items, in place of the token and beside it.
        key=$(secret-tool search --all application rds-token 2>&1 | sed -n 's/attribute.key = //p' | head -n 1)
        secret-tool clear key $key
        printf '{{' | secret-tool store --label=damaged application rds-token key $key
        printf '{{' | secret-tool store --label=damaged application rds-token key $key other attribute
        sleep 1.1
        third=$(token); fourth=$(AWS_ACCESS_KEY_ID=AKIDOTHER token); sleep 1.1
        test \"$(token)\" = \"$third\" && test \"$(AWS_ACCESS_KEY_ID=AKIDOTHER token)\" = \"$fourth\"
        test \"$($program cache list | wc -l)\" = 2
        $program cache clear -v 2>&1
        $program cache list
        secret-tool search --all application rds-token 2>&1 | grep -c attribute.key || true
        cat err",
        shared.target
    );
    let Some(stdout) = with_secret_service(test, &shared.sandbox, &script) else { return };
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[..2], ["rds-token: removed 2 tokens", "0"], "{stdout}");
    assert!(!stdout.contains("warning"), "{stdout}");
    assert_eq!(shared.sandbox.cached("token").len(), 0, "a file was written");
}

#[test]
#[ignore = "needs a keyring"]
fn the_secret_service_is_listed_over_one_connection() {
    let test = "the_secret_service_is_listed_over_one_connection";
    if !has("strace") {
        return skip(test, "strace is not installed");
    }
    let shared = Shared::new();
    let script = format!(
        "for id in AKIDONE AKIDTWO AKIDTHREE; do AWS_ACCESS_KEY_ID=$id $program {} >/dev/null 2>>err; done
        trace() {{ strace -f -qq -e trace=connect -o calls $program \"$@\"; }}
        trace cache list | wc -l; grep -c 'connect(' calls
        trace cache clear; grep -c 'connect(' calls",
        shared.target
    );
    let Some(stdout) = with_secret_service(test, &shared.sandbox, &script) else { return };
    // Clearing connects to list the items, and once more to remove them.
    assert_eq!(stdout, "3\n1\n2\n");
}

#[test]
#[ignore = "needs a keyring"]
fn an_expired_token_is_swept_from_the_secret_service() {
    let test = "an_expired_token_is_swept_from_the_secret_service";
    let shared = Shared::new();
    let script = format!(
        "end=$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)
        AWS_CREDENTIAL_EXPIRATION=$end $program {0} >/dev/null 2>>err; sleep 2.2
        items() {{ secret-tool search --all application rds-token 2>&1 | grep -c attribute.key || true; }}
        items; AWS_ACCESS_KEY_ID=AKIDOTHER $program {0} >/dev/null; items
        rm ~/.cache/rds-token/swept; AWS_ACCESS_KEY_ID=AKIDTHIRD $program {0} >/dev/null; items",
        shared.target
    );
    let Some(stdout) = with_secret_service(test, &shared.sandbox, &script) else { return };
    // The second run does not sweep, because a sweep reads every item. The third one removes the expired token.
    assert_eq!(stdout, "1\n2\n2\n");
}

#[test]
#[ignore = "needs a keyring"]
fn a_locked_keyring_is_a_warning_without_a_prompt() {
    let test = "a_locked_keyring_is_a_warning_without_a_prompt";
    let shared = Shared::new();
    let script = format!(
        "$program {0} >/dev/null; lock
        $program {0} 2>&1 | sed 's/?.*//'; $program {0} -u another 2>&1 | sed 's/?.*//'
        $program cache list 2>&1; $program cache clear 2>&1 || echo $?",
        shared.target
    );
    let Some(stdout) = with_secret_service(test, &shared.sandbox, &script) else { return };
    let why = "the Secret Service: its default keyring is locked; unlock it";
    let token = format!("rds-token: warning: no cache: {why}\n{HOST}:3306/\n");
    let cache =
        format!("rds-token: warning: cache: could not list {why}\nrds-token: could not clear the cache: {why}\n1\n");
    assert_eq!(stdout, format!("{token}{token}{cache}"));
}

#[test]
#[ignore = "needs a keyring"]
fn a_secret_service_that_hangs_is_a_warning() {
    let test = "a_secret_service_that_hangs_is_a_warning";
    let shared = Shared::new();
    let script = format!(
        "$program {0} >/dev/null
        process=$(bus --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetConnectionUnixProcessID \\
            string:org.freedesktop.secrets | sed -n 's/.*uint32 //p')
        kill -STOP $process; trap \"kill -CONT $process\" EXIT
        $program {0} 2>&1 | sed 's/?.*//'; $program {0} --timeout 2s 2>&1 | sed 's/?.*//'",
        shared.target
    );
    let begin = Instant::now();
    let Some(stdout) = with_secret_service(test, &shared.sandbox, &script) else { return };
    let warning = "rds-token: warning: no cache: the Secret Service: it does not respond";
    assert_eq!(stdout, format!("{warning}\n{HOST}:3306/\n").repeat(2));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[test]
#[ignore = "needs a keyring"]
fn twenty_misses_in_the_secret_service_make_one_request() {
    let test = "twenty_misses_in_the_secret_service_make_one_request";
    let shared = Shared::new();
    // The delay is longer than the time budget for the keyring. A wait for the lock must not count toward that budget.
    let sts = Server::sts(Duration::from_secs(5), 3600);
    // The bus runs until the file is removed, and for a minute at most.
    let script = "echo $DBUS_SESSION_BUS_ADDRESS >made; touch held; mv made bus
        for i in $(seq 600); do [ -e held ] || break; sleep 0.1; done";
    std::thread::scope(|scope| {
        let session = scope.spawn(|| with_secret_service(test, &shared.sandbox, script));
        let bus = loop {
            if let Ok(bus) = std::fs::read_to_string(shared.sandbox.path("bus")) {
                break bus;
            }
            if session.is_finished() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let more = [("DBUS_SESSION_BUS_ADDRESS", bus.trim_end()), ("RDS_TOKEN_KEYRING", "secret-service")];
        run_together(&shared.sandbox, &sts, 20, &[&shared.target], &more);
        std::fs::remove_file(shared.sandbox.path("held")).unwrap();
        assert_eq!(sts.requests(), 1);
    });
}

#[test]
#[ignore = "needs several seconds"]
fn a_missing_or_silent_bus_is_a_warning() {
    let shared = Shared::new();
    let run = |args: &[&str], bus: &str| {
        let run = shared.run(args).env("RDS_TOKEN_KEYRING", "secret-service");
        run.env("DBUS_SESSION_BUS_ADDRESS", bus)
    };
    assert_uncached(run(&[], ""), &["no cache: the Secret Service", "set DBUS_SESSION_BUS_ADDRESS"]);
    assert_uncached(run(&[], "unix:path=/nowhere/bus"), &["no cache: the Secret Service", "No such file"]);
    assert_uncached(run(&[], "tcp:host=127.0.0.1,port=1"), &["not a socket of this machine"]);
    let path = shared.sandbox.path("silent");
    let bus = format!("unix:path={}", path.display());
    let listener = UnixListener::bind(&path).unwrap();
    // First a connection that is not accepted, then one that is accepted and gets no answer.
    assert_uncached(run(&["--timeout", "1s"], &bus), &["no cache: the Secret Service: it does not respond"]);
    std::thread::spawn(move || listener.incoming().for_each(std::mem::forget));
    assert_uncached(run(&["--timeout", "2s"], &bus), &["it does not respond"]);
    assert_uncached(run(&[], &bus), &["it does not respond"]);
}
