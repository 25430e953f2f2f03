//! The cache: what is served, what is a miss, what is never trusted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rds_token::testing::Secret;
use rds_token::testing::sign;
use rds_token::testing::{AccessKeys, Choice, Identity, ProfileFiles};
use rds_token::testing::{CacheDirectory, Entry, Key};
use rds_token::testing::{Env, Timestamp};
use rds_token::testing::{Target, TargetSpec};

use crate::harness::{HOST, Sandbox, TARGET, can_mount, has, is_root, skip};

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
        shell
            .args(["-c", &format!("umask {umask}; exec {} {TARGET}", crate::harness::PROGRAM)])
            .envs(crate::harness::KEYS);
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
    let path = |run: crate::harness::Run| run.succeeds().trim_end().to_owned();
    let run = || sandbox.without_keys(["cache", "path"]);
    let named = sandbox.path("mine");
    assert_eq!(path(run().env("RDS_TOKEN_CACHE_DIR", &named)), named.to_str().unwrap());
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

/// Makes something in the place of the cache directory: the run warns with `part` and stores nothing.
#[track_caller]
fn assert_not_used(part: &str, make: impl Fn(&Sandbox)) {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.cache().parent().unwrap()).unwrap();
    make(&sandbox);
    let (token, stderr) = sandbox.rds_token([TARGET]).warns();
    assert!(token.starts_with(HOST), "{token}");
    assert!(stderr.contains("warning: no cache") && stderr.contains(part), "{stderr}");
    assert_eq!((stderr.matches('\n').count(), sandbox.cached("token").len()), (1, 0), "{stderr}");
}

#[test]
fn a_directory_that_cannot_be_trusted_is_not_used() {
    assert_not_used("open to others (mode 755)", |sandbox| {
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

/// Puts something in the place of a cached token: it isn't used, the answer is quick, and a good token
/// takes its place.
fn plant(name: &str, make: impl Fn(&Path)) {
    let sandbox = Sandbox::new();
    let token = sandbox.rds_token([TARGET]).succeeds();
    let path = sandbox.cached_token();
    // A date in the past, so that a new signature differs.
    std::thread::sleep(Duration::from_millis(1100));
    make(&path);
    let begin = Instant::now();
    let new = sandbox.rds_token([TARGET]).succeeds();
    assert!(new != token && new.starts_with(HOST), "{name}: it was used");
    assert!(begin.elapsed() < Duration::from_secs(20), "{name}: {:?}", begin.elapsed());
    assert_eq!(sandbox.rds_token([TARGET]).succeeds(), new, "{name}: not healed");
    assert_eq!((mode(&path), path.is_symlink()), (0o600, false), "{name}");
}

#[test]
#[ignore = "needs several seconds"]
fn planted_files_are_not_used() {
    let aside = |path: &Path| path.with_extension("aside");
    let set_aside = |path: &Path| std::fs::rename(path, aside(path)).unwrap();
    plant("readable", |path| chmod(path, 0o644));
    plant("group", |path| chmod(path, 0o620));
    plant("symbolic link", |path| {
        set_aside(path);
        symlink(aside(path), path).unwrap();
    });
    plant("hard link", |path| std::fs::hard_link(path, aside(path)).unwrap());
    plant("fifo", |path| {
        std::fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
    });
    plant("directory", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
    plant("1 GiB", |path| std::fs::File::options().write(true).open(path).unwrap().set_len(1 << 30).unwrap());
    plant("removed", |path| std::fs::remove_file(path).unwrap());
    if is_root() {
        plant("another owner", |path| std::os::unix::fs::chown(path, Some(12345), None).unwrap());
    } else {
        skip("planted_files_are_not_used (another owner)", "needs root");
    }
}

#[test]
fn a_swapped_file_is_a_miss() {
    let sandbox = Sandbox::new();
    let mine = sandbox.rds_token([TARGET]).succeeds();
    let path = sandbox.cached_token();
    let other = sandbox.rds_token([TARGET, "-u", "other"]).succeeds();
    let other_path = sandbox.cached("token").into_iter().find(|found| *found != path).unwrap();
    std::fs::copy(&other_path, &path).unwrap();
    let new = sandbox.rds_token([TARGET]).succeeds();
    assert!(new != other && new.contains("DBUser=dbiamuser&"), "{mine}{new}");
}

/// A store in a sandbox, its key, and what it is about.
struct Shelf {
    _sandbox: Sandbox,
    store: CacheDirectory,
    key: Key,
    target: Target,
    env: Env,
}

impl Shelf {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut vars = vec![("HOME".into(), sandbox.path("home").into_os_string())];
        vars.extend(crate::harness::KEYS.map(|(name, value)| (name.into(), value.into())));
        let env = Env::with_vars(vars);
        let target = TargetSpec::parse(TARGET).unwrap().validate(None, || Ok(None)).unwrap().0;
        let profiles = ProfileFiles::new(env.deadline(Duration::from_secs(5)));
        let identity = Identity::find(&env, &profiles, Choice::default()).unwrap();
        let store = CacheDirectory::at(sandbox.path("cache"));
        store.prepare().unwrap();
        let key = Key::of(&env, &target, &identity);
        Self { _sandbox: sandbox, store, key, target, env }
    }

    /// An entry signed at `signed`, with credentials that end `ending` seconds later.
    fn entry(&self, signed: Timestamp, ending: Option<i64>) -> Entry {
        let keys = AccessKeys::new("AKID".into(), "s".into(), None, None).unwrap();
        let token = sign(&self.target, &keys, signed.wall).unwrap();
        Entry::new(token, signed, ending.map(|seconds| signed.wall + time::Duration::seconds(seconds))).unwrap()
    }
}

/// `moment`, with both clocks moved by so many seconds.
fn moved(moment: Timestamp, wall: i64, boot: i64) -> Timestamp {
    let by = Duration::from_secs(boot.unsigned_abs());
    Timestamp {
        wall: moment.wall + time::Duration::seconds(wall),
        boot: if boot < 0 { moment.boot.saturating_sub(by) } else { moment.boot + by },
    }
}

/// A moment long after boot, on the second.
fn noon() -> Timestamp {
    Timestamp { wall: time::macros::datetime!(2026-06-01 12:00 UTC), boot: Duration::from_secs(1_000_000) }
}

#[test]
fn an_entry_is_fresh_only_by_both_clocks() {
    let shelf = Shelf::new();
    let five = Duration::from_secs(300);
    for (what, wall, boot, is_fresh) in [
        ("at once", 0, 0, true),
        ("after 10 minutes, to the second", 600, 600, true),
        ("a second later", 601, 601, false),
        ("tomorrow", 86_400, 86_400, false),
        ("wall clock slewed back", -5, 1, true),
        ("wall clock an hour back", -3_600, 10, false),
        ("wall clock 6 seconds back", -6, 10, false),
        ("wall clock set back within the life of the token", 30, 700, false),
        ("wall clock stopped, long after", 30, 100_000, false),
        ("wall clock 20 minutes ahead", 1_200, 10, false),
        ("back to 1970", -noon().wall.unix_timestamp(), 10, false),
        ("another boot", 30, -500_000, false),
    ] {
        let entry = shelf.entry(noon(), None);
        assert_eq!(entry.is_fresh(moved(noon(), wall, boot), five), is_fresh, "{what}");
    }
    let ending = shelf.entry(noon(), Some(400));
    assert!(ending.is_fresh(moved(noon(), 100, 100), five) && !ending.is_fresh(moved(noon(), 101, 101), five));
    assert!(!ending.is_fresh(moved(noon(), 20, 101), five), "the wall clock was set back");
    assert_eq!(ending.remaining(moved(noon(), 400, 400)), None);
    assert_eq!(shelf.entry(noon(), Some(5_000)).expires_at(), moved(noon(), 900, 0).wall);
}

#[test]
fn any_damage_is_a_miss() {
    let shelf = Shelf::new();
    let now = shelf.env.now();
    let entry = shelf.entry(now, Some(3_600));
    shelf.store.store(&shelf.key, &entry).unwrap();
    let path = shelf.store.path().join(shelf.key.as_str()).with_extension("token");
    let whole = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        shelf.store.load(&shelf.key, &shelf.target)
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
    for (what, bytes) in [
        ("NULs", vec![0; whole.len()]),
        ("garbage", b"\xff\xfe garbage".to_vec()),
        ("a newer version", text.replace("\"version\":1", "\"version\":2").into_bytes()),
        ("an unknown field", text.replace('{', "{\"x\":1,").into_bytes()),
        ("twice", [&whole[..], &whole[..]].concat()),
    ] {
        assert!(load(&bytes).is_none(), "{what}");
    }
    let mut other = shelf.target.clone();
    other.port = 3307;
    assert!(load(&whole).is_some() && shelf.store.load(&shelf.key, &other).is_none());
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
fn min_ttl_refresh_and_no_cache() {
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
fn list_and_clear() {
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
    let (_, said) = sandbox.without_keys(["cache", "clear", "-v"]).warns();
    assert!(said.contains("removed 2 tokens"), "{said}");
    assert_eq!((list(), sandbox.cached("token").len(), sandbox.cached("lock").len()), (String::new(), 0, 0));
}

#[test]
fn a_miss_removes_old_files() {
    let sandbox = Sandbox::new();
    sandbox.rds_token([TARGET]).succeeds();
    let cache = sandbox.cache();
    let age = |name: &str, minutes: u64| {
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(cache.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(minutes * 60)).unwrap();
        chmod(&cache.join(name), 0o600);
    };
    age("swept", 31);
    let digest =
        |digit: char, length: usize, extension: &str| format!("{}.{extension}", digit.to_string().repeat(length));
    let all: [(&str, u64, bool); 15] = [
        (&digest('0', 64, "token"), 16, false),
        (&digest('1', 64, "token"), 14, true),
        (&digest('0', 24, "mysql.cnf"), 61, false),
        // Its token has expired, so it may be rewritten at any moment.
        (&digest('1', 24, "mysql.cnf"), 16, true),
        (&digest('0', 24, "pgpass"), 61, false),
        (".rds-token-abcdefghij012345", 61, false),
        (".rds-token-abcdefghij012346", 1, true),
        (&digest('0', 64, "lock"), 1_500, false),
        (&digest('1', 64, "lock"), 60, true),
        // None of ours, whatever they are called.
        ("rds-ca-0.pem", 10_000, true),
        (".my.cnf", 10_000, true),
        ("prod.pgpass", 10_000, true),
        ("a.token", 10_000, true),
        (".tmpkeep", 10_000, true),
        (".rds-token-README", 10_000, true),
    ];
    for (name, minutes, _) in all {
        age(name, minutes);
    }
    sandbox.rds_token([TARGET, "-u", "other"]).succeeds();
    for (name, _, stays) in all {
        assert_eq!(cache.join(name).exists(), stays, "{name}");
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
    for (what, mount, part) in [
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
        let script = format!("{mount}; exec {} {TARGET}", crate::harness::PROGRAM);
        shell.args(["--mount", "sh", "-c", &script]).envs(crate::harness::KEYS);
        shell.env("C", &cache).env("RDS_TOKEN_CACHE_DIR", &cache);
        let (stdout, stderr) = crate::harness::texts(&shell.output().unwrap());
        assert!(stdout.starts_with(HOST), "{what}: {stderr}");
        assert!(stderr.contains(part) && stderr.matches('\n').count() == 1, "{what}: {stderr}");
        // What needs a file says that there can be none, and leaves none behind.
        for args in ["cnf --flavor mysql", "pgpass --engine postgres", "env --shell sh --no-secret", "cache list"] {
            let (command, flags) = args.split_once(' ').unwrap_or((args, ""));
            let target = if command == "cache" { "" } else { TARGET };
            let script = format!("{mount}; {} {command} {flags} {target}; echo $?; ls $C", crate::harness::PROGRAM);
            let mut shell = sandbox.command("unshare");
            shell.args(["--mount", "sh", "-c", &script]).envs(crate::harness::KEYS);
            shell.env("C", &cache).env("RDS_TOKEN_CACHE_DIR", &cache);
            let (stdout, stderr) = crate::harness::texts(&shell.output().unwrap());
            let shown = format!("{what}, {args}: {stdout}{stderr}");
            let printed = stdout.strip_prefix(crate::harness::NO_FILE).unwrap_or(&stdout);
            assert_eq!(printed != stdout, matches!(command, "cnf" | "pgpass"), "{shown}");
            let (code, left) = printed.split_once('\n').unwrap();
            assert!(!["cnf", "pgpass", "pem", ".rds-token-"].iter().any(|part| left.contains(part)), "{shown}");
            if command == "cache" {
                assert_eq!((code, stderr.as_str()), ("0", ""), "{shown}");
            } else {
                assert!(code == "1" && stderr.contains(part), "{shown}");
                assert!(stderr.lines().all(|line| line.starts_with("rds-token: ")), "{shown}");
            }
        }
    }
}

/// The time since boot means nothing to another boot.
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
    shell.args(["--mount", "sh", "-c", &format!("{mount} && exec {} {TARGET}", crate::harness::PROGRAM)]);
    let (stdout, stderr) = crate::harness::texts(&shell.envs(crate::harness::KEYS).output().unwrap());
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
    std::fs::copy(crate::harness::PROGRAM, &program).unwrap();
    chmod(&sandbox.path(""), 0o755);
    let mut command = sandbox.command("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]).arg(&program).arg(TARGET);
    let shared = sandbox.path("tmp");
    std::fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o1777);
    command.env_remove("HOME").env("TMPDIR", &shared).envs(crate::harness::KEYS);
    let (stdout, stderr) = crate::harness::texts(&command.output().unwrap());
    assert!(stdout.starts_with(HOST), "{stderr}");
    assert_eq!(shared.read_dir().unwrap().count(), 0, "a directory that others share");
    assert!(
        stderr.contains("no cache: HOME and XDG_RUNTIME_DIR are not set") && stderr.matches('\n').count() == 1,
        "{stderr}"
    );
}

/// A forged entry may have a right checksum. Its token would be written to option files and shells.
#[test]
fn a_token_with_additional_text_is_a_miss() {
    let shelf = Shelf::new();
    let now = shelf.env.now();
    let token = shelf.entry(now, None).token.expose().clone();
    let entry = |token: String| Entry::new(Secret::new(token), now, None);
    assert!(entry(token.clone()).is_some());
    for more in [
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
        assert!(entry(format!("{token}{more}")).is_none(), "{more:?}");
        let inside = token.replacen("&X-Amz-Date", &format!("{more}&X-Amz-Date"), 1);
        assert!(entry(inside).is_none(), "{more:?}");
    }
}

/// A process that is writing holds the lock of its file. What a killed process left is removed at once.
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
