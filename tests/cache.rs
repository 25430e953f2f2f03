//! The cache: hits, misses, and files that are not trusted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rds_token::testing::sign;
use rds_token::testing::{AccessKeys, Choice, Identity, ProfileFiles};
use rds_token::testing::{CacheDirectory, Entry, Key};
use rds_token::testing::{Env, Timestamp};
use rds_token::testing::{LIFETIME, Secret};
use rds_token::testing::{Target, TargetSpec};

use crate::harness::{HOST, KEYS, NO_FILE, PROGRAM, Run, Sandbox, TARGET, can_mount, has, is_root, skip, texts};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_are_private_under_any_umask() {
    for umask in ["000", "022", "077", "0777"] {
        let sandbox = Sandbox::new();
        let mut shell = sandbox.command("sh");
        shell.args(["-c", &format!("umask {umask}; exec {} {TARGET}", PROGRAM)]).envs(KEYS);
        assert!(shell.output().unwrap().status.success());
        assert_eq!(mode(&sandbox.cache()), 0o700, "{umask}");
        for file in std::fs::read_dir(sandbox.cache()).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{umask}: {}", path.display());
        }
    }
}

#[test]
fn the_environment_selects_the_directory() {
    let sandbox = Sandbox::new();
    let path = |run: Run| run.succeeds().trim_end().to_owned();
    let run = || sandbox.without_keys(["cache", "path"]);
    let explicit = sandbox.path("explicit");
    assert_eq!(path(run().env("RDS_TOKEN_CACHE_DIR", &explicit)), explicit.to_str().unwrap());
    assert_eq!(path(run()), sandbox.cache().to_str().unwrap());
    assert_eq!(path(run().env("XDG_CACHE_HOME", sandbox.path("x"))), sandbox.path("x/rds-token").to_str().unwrap());
    let runtime = sandbox.path("run");
    std::fs::create_dir(&runtime).unwrap();
    chmod(&runtime, 0o700);
    assert_eq!(path(run().env("XDG_RUNTIME_DIR", &runtime)), runtime.join("rds-token").to_str().unwrap());
    chmod(&runtime, 0o755);
    assert_eq!(path(run().env("XDG_RUNTIME_DIR", &runtime)), sandbox.cache().to_str().unwrap());
    let (_, stderr) = sandbox.rds_token([TARGET]).env("RDS_TOKEN_CACHE_DIR", "relative").warns();
    assert!(stderr.contains("no cache: RDS_TOKEN_CACHE_DIR is 'relative'"), "{stderr}");
    assert!(!sandbox.path("relative").exists());
}

/// Runs the program after `create` has created something at the path of the cache directory, and checks that there is
/// one warning, which contains `part`, and that nothing is cached.
#[track_caller]
fn assert_not_used(part: &str, create: impl Fn(&Sandbox)) {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.cache().parent().unwrap()).unwrap();
    create(&sandbox);
    let (token, stderr) = sandbox.rds_token([TARGET]).warns();
    assert!(token.starts_with(HOST), "{token}");
    assert!(stderr.contains("warning: no cache") && stderr.contains(part), "{stderr}");
    assert_eq!((stderr.matches('\n').count(), sandbox.cached("token").len()), (1, 0), "{stderr}");
}

#[test]
fn a_directory_that_cannot_be_trusted_is_not_used() {
    assert_not_used("accessible to others (mode 755)", |sandbox| {
        std::fs::create_dir(sandbox.cache()).unwrap();
        chmod(&sandbox.cache(), 0o755);
    });
    assert_not_used("links are not followed", |sandbox| {
        let real = sandbox.path("elsewhere");
        std::fs::create_dir(&real).unwrap();
        chmod(&real, 0o700);
        symlink(real, sandbox.cache()).unwrap();
    });
    assert_not_used("not a directory", |sandbox| std::fs::write(sandbox.cache(), "").unwrap());
}

#[test]
#[ignore = "needs root"]
fn a_directory_of_another_user_is_not_used() {
    if !is_root() {
        return skip("a_directory_of_another_user_is_not_used", "needs root");
    }
    assert_not_used("belongs to another user", |sandbox| {
        std::fs::create_dir(sandbox.cache()).unwrap();
        chmod(&sandbox.cache(), 0o700);
        std::os::unix::fs::chown(sandbox.cache(), Some(12345), None).unwrap();
    });
}

/// Changes the file of a cached token with `plant`, and checks that the result is not used, does not delay the program,
/// and is replaced with a new token.
#[track_caller]
fn assert_replaced(name: &str, plant: impl Fn(&Path)) {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    let path = sandbox.cached_token();
    // A new signature has another date.
    std::thread::sleep(Duration::from_millis(1100));
    plant(&path);
    let begin = Instant::now();
    let new = sandbox.rds_token([TARGET]).succeeds();
    assert!(new != token && new.starts_with(HOST), "{name}: it was used");
    assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    assert_eq!(sandbox.rds_token([TARGET]).succeeds(), new, "{name}: not replaced");
    assert_eq!((mode(&path), path.is_symlink()), (0o600, false), "{name}");
}

#[test]
#[ignore = "needs several seconds"]
fn planted_files_are_not_used() {
    let aside = |path: &Path| path.with_extension("aside");
    let set_aside = |path: &Path| std::fs::rename(path, aside(path)).unwrap();
    assert_replaced("readable", |path| chmod(path, 0o644));
    assert_replaced("group", |path| chmod(path, 0o620));
    assert_replaced("symbolic link", |path| {
        set_aside(path);
        symlink(aside(path), path).unwrap();
    });
    assert_replaced("hard link", |path| std::fs::hard_link(path, aside(path)).unwrap());
    assert_replaced("fifo", |path| {
        std::fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
    });
    assert_replaced("directory", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
    assert_replaced("1 GiB", |path| std::fs::File::options().write(true).open(path).unwrap().set_len(1 << 30).unwrap());
    assert_replaced("removed", |path| std::fs::remove_file(path).unwrap());
    if is_root() {
        assert_replaced("another owner", |path| std::os::unix::fs::chown(path, Some(12345), None).unwrap());
    } else {
        skip("planted_files_are_not_used (another owner)", "needs root");
    }
}

#[test]
fn a_swapped_file_is_a_miss() {
    let sandbox = Sandbox::new();
    let first = sandbox.rds_token([TARGET]).succeeds();
    let path = sandbox.cached_token();
    let other = sandbox.rds_token([TARGET, "-u", "other"]).succeeds();
    let other_path = sandbox.cached("token").into_iter().find(|candidate| *candidate != path).unwrap();
    std::fs::copy(&other_path, &path).unwrap();
    let new = sandbox.rds_token([TARGET]).succeeds();
    assert!(new != other && new.contains("DBUser=dbiamuser&"), "{first}{new}");
}

/// A cache directory in a sandbox, and the key of one target.
struct Fixture {
    _sandbox: Sandbox,
    directory: CacheDirectory,
    key: Key,
    target: Target,
    env: Env,
}

impl Fixture {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut vars = vec![("HOME".into(), sandbox.path("home").into_os_string())];
        vars.extend(KEYS.map(|(name, value)| (name.into(), value.into())));
        let env = Env::with_vars(vars);
        let target = TargetSpec::parse(TARGET).unwrap().validate(None, || Ok(None)).unwrap().0;
        let profiles = ProfileFiles::new(env.deadline(Duration::from_secs(5)));
        let identity = Identity::find(&env, &profiles, Choice::default()).unwrap();
        let directory = CacheDirectory::at(sandbox.path("cache"));
        directory.prepare().unwrap();
        let key = Key::of(&env, &target, LIFETIME, identity.fingerprint());
        Self { _sandbox: sandbox, directory, key, target, env }
    }

    /// Returns an entry signed at `signed`, with credentials that expire `lifetime` seconds later.
    fn entry(&self, signed: Timestamp, lifetime: Option<i64>) -> Entry {
        let keys = AccessKeys::new("AKID".into(), "s".into(), None, None).unwrap();
        let Target { user, port, .. } = &self.target;
        let token = sign(&self.target, &keys, LIFETIME, signed.wall).unwrap();
        let expiry = lifetime.map(|seconds| signed.wall + time::Duration::seconds(seconds));
        Entry::new(token, user, *port, signed, expiry).unwrap()
    }
}

/// Returns `time` with its clocks changed by `wall` and `boot` seconds.
fn shift(time: Timestamp, wall: i64, boot: i64) -> Timestamp {
    let difference = Duration::from_secs(boot.unsigned_abs());
    Timestamp {
        wall: time.wall + time::Duration::seconds(wall),
        boot: if boot < 0 { time.boot.saturating_sub(difference) } else { time.boot + difference },
    }
}

/// A time long after boot, without a fraction of a second.
fn noon() -> Timestamp {
    Timestamp { wall: time::macros::datetime!(2026-06-01 12:00 UTC), boot: Duration::from_secs(1_000_000) }
}

#[test]
fn an_entry_is_fresh_only_if_both_clocks_agree() {
    let fixture = Fixture::new();
    let min_ttl = Duration::from_secs(300);
    for (case, wall, boot, is_fresh) in [
        ("immediately", 0, 0, true),
        ("after exactly 10 minutes", 600, 600, true),
        ("after 10 minutes and a second", 601, 601, false),
        ("a day later", 86_400, 86_400, false),
        ("wall clock slewed back", -5, 1, true),
        ("wall clock an hour back", -3_600, 10, false),
        ("wall clock 6 seconds back", -6, 10, false),
        ("wall clock set back within the lifetime of the token", 30, 700, false),
        ("wall clock stopped for a day", 30, 100_000, false),
        ("wall clock 20 minutes ahead", 1_200, 10, false),
        ("back to 1970", -noon().wall.unix_timestamp(), 10, false),
        ("another boot", 30, -500_000, false),
    ] {
        let entry = fixture.entry(noon(), None);
        assert_eq!(entry.is_fresh(shift(noon(), wall, boot), min_ttl), is_fresh, "{case}");
    }
    let entry = fixture.entry(noon(), Some(400));
    assert!(entry.is_fresh(shift(noon(), 100, 100), min_ttl) && !entry.is_fresh(shift(noon(), 101, 101), min_ttl));
    assert!(!entry.is_fresh(shift(noon(), 20, 101), min_ttl), "the wall clock was set back");
    assert_eq!(entry.remaining(shift(noon(), 400, 400)), None);
    assert_eq!(fixture.entry(noon(), Some(5_000)).expires_at(), shift(noon(), 900, 0).wall);
}

#[test]
fn any_damage_is_a_miss() {
    let fixture = Fixture::new();
    let now = fixture.env.now();
    let entry = fixture.entry(now, Some(3_600));
    fixture.directory.store(&fixture.key, &entry).unwrap();
    let path = fixture.directory.path().join(fixture.key.as_str()).with_extension("token");
    let whole = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        fixture.directory.load(&fixture.key, &fixture.target)
    };
    assert_eq!(load(&whole).unwrap().token, entry.token);
    // The last byte is a newline.
    for length in 0..whole.len() - 1 {
        assert!(load(&whole[..length]).is_none(), "cut at {length}");
    }
    for index in 0..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        assert!(load(&changed).is_none(), "changed at {index}");
    }
    let text = String::from_utf8(whole.clone()).unwrap();
    for (case, bytes) in [
        ("NULs", vec![0; whole.len()]),
        ("garbage", b"\xff\xfe garbage".to_vec()),
        ("a newer version", text.replace("\"version\":1", "\"version\":2").into_bytes()),
        ("an unknown field", text.replace('{', "{\"x\":1,").into_bytes()),
        ("twice", [&whole[..], &whole[..]].concat()),
    ] {
        assert!(load(&bytes).is_none(), "{case}");
    }
    let mut other = fixture.target.clone();
    other.port = 3307;
    assert!(load(&whole).is_some() && fixture.directory.load(&fixture.key, &other).is_none());
}

#[test]
fn a_damaged_entry_is_replaced() {
    for bytes in ["", "{", "\0\0\0", "{\"version\":2}"] {
        let sandbox = Sandbox::new();
        sandbox.rds_token([TARGET]).succeeds();
        std::fs::write(sandbox.cached_token(), bytes).unwrap();
        let token = sandbox.rds_token([TARGET]).succeeds();
        assert_eq!(sandbox.rds_token([TARGET]).succeeds(), token, "{bytes:?}");
    }
}

#[test]
fn refresh_stores_a_new_token_and_no_cache_stores_none() {
    let sandbox = Sandbox::new();
    let first = sandbox.rds_token([TARGET]).succeeds();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(sandbox.rds_token([TARGET, "--min-ttl", "14m"]).succeeds(), first);
    for args in [vec!["--no-cache"], vec!["--cache", "off"], vec!["--refresh"]] {
        assert_ne!(sandbox.rds_token([vec![TARGET], args].concat()).succeeds(), first);
    }
    assert_ne!(sandbox.rds_token([TARGET]).env("RDS_TOKEN_CACHE", "off").succeeds(), first);
    let refreshed = sandbox.rds_token([TARGET]).succeeds();
    assert_ne!(refreshed, first, "--refresh stores what it signs");
    let fresh = Sandbox::new();
    fresh.rds_token([TARGET, "--no-cache"]).succeeds();
    assert!(!fresh.cache().exists());
}

#[test]
fn list_shows_tokens_and_clear_removes_them() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.without_keys(["cache", "list"]).succeeds(), "");
    sandbox.without_keys(["cache", "clear"]).succeeds();
    for user in ["ann", "bob", "eve"] {
        sandbox.rds_token(["-u", user, HOST, "-P", "5432"]).succeeds();
    }
    let list = || sandbox.without_keys(["cache", "list"]).succeeds();
    let text = list();
    assert_eq!(text.lines().count(), 3);
    let line = text.lines().find(|line| line.starts_with("bob@")).unwrap();
    let fields: Vec<&str> = line.split('\t').collect();
    assert_eq!((fields.len(), fields[0], fields[1]), (4, format!("bob@{HOST}:5432").as_str(), "eu-west-1"));
    assert!(fields[2].ends_with('Z') && fields[3].ends_with('s') && !text.contains("X-Amz"), "{line}");
    sandbox.without_keys(["cache", "clear", &format!("bob@{HOST}")]).succeeds();
    assert_eq!((list().lines().count(), list().contains("bob@")), (2, false));
    for args in [["--user", "nobody"], ["--engine", "mysql"], ["--host", "x.y"], ["--region", "us-east-1"]] {
        let (_, stderr) = sandbox.without_keys([&["cache", "clear"], &args[..]].concat()).warns();
        assert!(stderr.contains("no cached token matches"), "{args:?}: {stderr}");
    }
    assert_eq!(list().lines().count(), 2);
    let (_, stderr) = sandbox.without_keys(["cache", "clear", "-v"]).warns();
    assert!(stderr.contains("removed 2 tokens"), "{stderr}");
    assert_eq!((list(), sandbox.cached("token").len(), sandbox.cached("lock").len()), (String::new(), 0, 0));
}

#[test]
fn a_miss_removes_old_files() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let cache = sandbox.cache();
    let create = |name: &str, minutes: u64| {
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(cache.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(minutes * 60)).unwrap();
        chmod(&cache.join(name), 0o600);
    };
    // The file that records the last cleanup.
    create("swept", 31);
    let digest =
        |digit: char, length: usize, extension: &str| format!("{}.{extension}", digit.to_string().repeat(length));
    let all: [(&str, u64, bool); 15] = [
        (&digest('0', 64, "token"), 16, false),
        (&digest('1', 64, "token"), 14, true),
        (&digest('0', 24, "mysql.cnf"), 61, false),
        // Its token has expired, and another process may rewrite the file at any time.
        (&digest('1', 24, "mysql.cnf"), 16, true),
        (&digest('0', 24, "pgpass"), 61, false),
        (".rds-token-abcdefghij012345", 61, false),
        (".rds-token-abcdefghij012346", 1, true),
        (&digest('0', 64, "lock"), 1_500, false),
        (&digest('1', 64, "lock"), 60, true),
        // Files of other programs.
        ("rds-ca-0.pem", 10_000, true),
        (".my.cnf", 10_000, true),
        ("prod.pgpass", 10_000, true),
        ("a.token", 10_000, true),
        (".tmpkeep", 10_000, true),
        (".rds-token-README", 10_000, true),
    ];
    for (name, minutes, _) in all {
        create(name, minutes);
    }
    sandbox.rds_token([TARGET, "-u", "other"]).succeeds();
    for (name, _, is_left) in all {
        assert_eq!(cache.join(name).exists(), is_left, "{name}");
    }
    assert_eq!(sandbox.cached("token").len(), 4);
    sandbox.rds_token(["cache", "clear"]).succeeds();
    for (name, _, _) in &all[9..] {
        assert!(cache.join(name).exists(), "{name}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_cache_that_cannot_be_written_is_a_warning() {
    if !is_root() || !has("unshare") || !can_mount() {
        return skip("a_cache_that_cannot_be_written_is_a_warning", "needs root and mount namespaces");
    }
    for (fault, mount, part) in [
        (
            "full disk",
            "mount -t tmpfs -o size=16k,mode=700 none $C; head -c 1M /dev/zero >$C/x 2>/dev/null",
            "No space left",
        ),
        ("no inodes", "mount -t tmpfs -o nr_inodes=1,mode=700 none $C", "No space left"),
        ("read-only", "mount -t tmpfs -o ro,mode=700 none $C", "Read-only"),
    ] {
        let sandbox = Sandbox::new();
        let cache = sandbox.path("cache");
        std::fs::create_dir(&cache).unwrap();
        let mut shell = sandbox.command("unshare");
        let script = format!("{mount}; exec {} {TARGET}", PROGRAM);
        shell.args(["--mount", "sh", "-c", &script]).envs(KEYS);
        shell.env("C", &cache).env("RDS_TOKEN_CACHE_DIR", &cache);
        let (stdout, stderr) = texts(&shell.output().unwrap());
        assert!(stdout.starts_with(HOST), "{fault}: {stderr}");
        assert!(stderr.contains(part) && stderr.matches('\n').count() == 1, "{fault}: {stderr}");
        // Commands that write a file fail, and leave no partial file.
        for args in ["cnf --flavor mysql", "pgpass --engine postgres", "env --shell sh --no-secret", "cache list"] {
            let (command, flags) = args.split_once(' ').unwrap_or((args, ""));
            let target = if command == "cache" { "" } else { TARGET };
            let script = format!("{mount}; {} {command} {flags} {target}; echo $?; ls $C", PROGRAM);
            let mut shell = sandbox.command("unshare");
            shell.args(["--mount", "sh", "-c", &script]).envs(KEYS);
            shell.env("C", &cache).env("RDS_TOKEN_CACHE_DIR", &cache);
            let (stdout, stderr) = texts(&shell.output().unwrap());
            let about = format!("{fault}, {args}: {stdout}{stderr}");
            let printed = stdout.strip_prefix(NO_FILE).unwrap_or(&stdout);
            assert_eq!(printed != stdout, matches!(command, "cnf" | "pgpass"), "{about}");
            let (code, left) = printed.split_once('\n').unwrap();
            assert!(!["cnf", "pgpass", "pem", ".rds-token-"].iter().any(|part| left.contains(part)), "{about}");
            if command == "cache" {
                assert_eq!((code, stderr.as_str()), ("0", ""), "{about}");
            } else {
                assert!(code == "1" && stderr.contains(part), "{about}");
                assert!(stderr.lines().all(|line| line.starts_with("rds-token: ")), "{about}");
            }
        }
    }
}

/// The time since boot of an entry is meaningless after another boot.
#[test]
#[ignore = "needs root"]
fn another_boot_is_a_miss() {
    if !is_root() || !has("unshare") || !can_mount() {
        return skip("another_boot_is_a_miss", "needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    let other = sandbox.write("boot_id", "00000000-0000-0000-0000-000000000000\n");
    std::thread::sleep(Duration::from_millis(1100));
    let mut shell = sandbox.command("unshare");
    let mount = format!("mount --bind {} /proc/sys/kernel/random/boot_id", other.display());
    shell.args(["--mount", "sh", "-c", &format!("{mount} && exec {} {TARGET}", PROGRAM)]);
    let (stdout, stderr) = texts(&shell.envs(KEYS).output().unwrap());
    assert!(stdout.starts_with(HOST) && stdout != token, "{stdout}{stderr}");
    assert_eq!(sandbox.rds_token([TARGET]).succeeds(), token);
}

#[test]
#[ignore = "needs root"]
fn without_a_home_there_is_no_cache_and_one_warning() {
    if !is_root() || !has("setpriv") {
        return skip(
            "without_a_home_there_is_no_cache_and_one_warning",
            "needs root, to become a user without a home directory",
        );
    }
    let sandbox = Sandbox::new();
    let program = sandbox.path("rds-token");
    std::fs::copy(PROGRAM, &program).unwrap();
    chmod(&sandbox.path(""), 0o755);
    let mut command = sandbox.command("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(&program).arg(TARGET);
    let shared = sandbox.path("tmp");
    std::fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o1777);
    command.env_remove("HOME").env("TMPDIR", &shared).envs(KEYS);
    let (stdout, stderr) = texts(&command.output().unwrap());
    assert!(stdout.starts_with(HOST), "{stderr}");
    assert_eq!(shared.read_dir().unwrap().count(), 0, "a shared directory is not used");
    assert!(
        stderr.contains("no cache: HOME and XDG_RUNTIME_DIR are not set") && stderr.matches('\n').count() == 1,
        "{stderr}"
    );
}

/// A forged entry can have a valid checksum, and its token would be written to option files and shells.
#[test]
fn a_token_with_additional_text_is_a_miss() {
    let fixture = Fixture::new();
    let now = fixture.env.now();
    let token = fixture.entry(now, None).token.expose().clone();
    let entry = |token: String| Entry::new(Secret::new(token), &fixture.target.user, fixture.target.port, now, None);
    assert!(entry(token.clone()).is_some());
    for addition in [
        "&X=\n[client]\nhost=evil",
        "&X=1",
        "&X-Amz-Security-Token=",
        "&DBUser=root",
        "&",
        "\n",
        "\r",
        " ",
        "\0",
        "\u{1b}[0m",
        "\u{202e}",
        "'",
        "\"",
        "#",
    ] {
        assert!(entry(format!("{token}{addition}")).is_none(), "{addition:?}");
        let inside = token.replacen("&X-Amz-Date", &format!("{addition}&X-Amz-Date"), 1);
        assert!(entry(inside).is_none(), "{addition:?}");
    }
}

/// A process that is writing holds a lock on its temporary file. The file of a killed process is removed.
#[test]
fn clear_leaves_a_write_in_progress() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let [held, left] =
        ["held0held0held01", "left0left0left01"].map(|end| sandbox.cache().join(format!(".rds-token-{end}")));
    let lock = std::fs::File::create(&held).unwrap();
    lock.try_lock().unwrap();
    std::fs::write(&left, "").unwrap();
    [&held, &left].iter().for_each(|path| chmod(path, 0o600));
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert_eq!((held.exists(), left.exists()), (true, false));
    drop(lock);
    sandbox.rds_token(["cache", "clear"]).succeeds();
    assert!(!held.exists());
}
