//! Hostile input: a prepared current directory, files planted at the paths of the program's own files, and values with
//! special characters.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rds_token::testing::{
    Choice, Engine, Env, Identity, Key, LIFETIME, ProfileFiles, Region, Secret, Shell, Target, TargetSpec, Url,
    render_passfile,
};

use crate::clients::odd_text;
use crate::harness::{HOST, KEYS, PROGRAM, Sandbox, Server, TARGET, has, is_root, skip, texts};
use crate::rogue::Rogue;
use crate::servers::Postgres;

/// Control characters inside and outside ASCII. NUL is missing because an argument can't contain it.
const CONTROLS: [char; 8] = ['\n', '\r', '\t', '\u{1}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'];

#[test]
fn control_characters_are_refused_in_every_input() {
    let sandbox = Sandbox::new();
    let host = |name: &str| format!("{name}.abc123.eu-west-1.rds.amazonaws.com");
    for c in CONTROLS {
        let bad = format!("a{c}b");
        let flags: [(&str, &str, i32); 12] = [
            ("--host", &host(&bad), 2),
            ("--port", &format!("3306{c}"), 2),
            ("--user", &bad, 2),
            ("--database", &bad, 2),
            ("--engine", &format!("mysql{c}"), 2),
            ("--region", &format!("eu-west-1{c}"), 2),
            ("--via", &format!("{bad}:1"), 2),
            ("--ca", &bad, 2),
            ("--role-arn", &format!("arn:aws:iam::1:role/{bad}"), 2),
            ("--profile", &bad, 3),
            ("--min-ttl", &format!("5m{c}x"), 2),
            ("--timeout", &format!("5s{c}x"), 2),
        ];
        for (flag, value, code) in flags {
            let line = sandbox.rds_token(["cnf", TARGET, "--flavor", "mysql", flag, value]).fails(code);
            assert!(line.len() < 2_000, "{flag}: {line}");
        }
        for target in [format!("{bad}@{HOST}:3306"), format!("u@{}:3306", host(&bad)), format!("{TARGET}/{bad}")] {
            sandbox.rds_token([&target]).fails(2);
        }
        for code in [format!("%{:02X}", c as u32), "%00".to_owned(), "%C2%9B".to_owned()] {
            sandbox.rds_token([format!("mysql://a{code}b@{HOST}")]).fails(2);
            sandbox.rds_token([format!("mysql://a@{HOST}/a{code}b")]).fails(2);
        }
        for name in ["HOST", "PORT", "USER", "DATABASE", "ENGINE", "CA", "CACHE", "CONFIG"] {
            let run =
                sandbox.rds_token(["cnf", "--flavor", "mysql"]).env("RDS_TOKEN_HOST", HOST).env("RDS_TOKEN_USER", "u");
            run.env("RDS_TOKEN_PORT", "3306").env(&format!("RDS_TOKEN_{name}"), &bad).fails(2);
        }
        for (name, code) in
            [("AWS_PROFILE", 3), ("AWS_ACCESS_KEY_ID", 3), ("AWS_SECRET_ACCESS_KEY", 3), ("AWS_SESSION_TOKEN", 3)]
        {
            let run = if name == "AWS_PROFILE" { sandbox.without_keys([TARGET]) } else { sandbox.rds_token([TARGET]) };
            run.env(name, &bad).fails(code);
        }
        // A file may have such a name, but the output formats refuse it.
        let ca = sandbox.write(&format!("{bad}.pem"), "");
        let ca = ca.to_str().unwrap();
        sandbox.rds_token(["cnf", TARGET, "--flavor", "mysql", "--ca", ca]).fails(2);
        sandbox.rds_token(["env", "--shell", "sh", &format!("postgres://u@{HOST}"), "--ca", ca]).fails(2);
    }
}

/// Real shells read every value back unchanged.
#[test]
fn shells_read_back_any_value() {
    let mut values: Vec<String> = (0..600).map(|_| odd_text(40)).collect();
    values.push("%2B%2F".repeat(4_000));
    for (name, shell) in [
        ("sh", Shell::Sh),
        ("bash", Shell::Bash),
        ("zsh", Shell::Zsh),
        ("fish", Shell::Fish),
        ("pwsh", Shell::Powershell),
    ] {
        if !has(name) {
            if name != "pwsh" {
                skip("shells_read_back_any_value", &format!("{name} is not installed"));
            }
            continue;
        }
        let sandbox = Sandbox::new();
        let print = match name {
            "pwsh" => "[Console]::Out.Write(\"$env:PGUSER`0\");\n",
            _ => "printf '%s\\0' \"$PGUSER\";\n",
        };
        let line = |value: &String| shell.set("PGUSER", value).unwrap() + print;
        let script = sandbox.write("script", &values.iter().map(line).collect::<String>());
        let mut command = sandbox.command(name);
        if name == "fish" {
            command.arg("--no-config");
        }
        let output = command.arg(&script).env("LC_ALL", "C.UTF-8").output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert!(stderr.is_empty(), "{name}: {stderr}");
        let read: Vec<&str> = stdout.split_terminator('\0').collect();
        assert_eq!(read, values, "{name}");
    }
}

/// Returns the user, the database and the password that libpq sends to the server.
fn values_from_libpq(
    rogue: &Rogue,
    sandbox: &Sandbox,
    vars: &[(&str, &str)],
    connection: &str,
) -> (String, String, String) {
    let mut command = sandbox.command("psql");
    command.args(["-XAtw", "-c", "SELECT 1", "-d", connection]).envs(vars.iter().copied());
    command.stdout(Stdio::null());
    let (_, stderr) = texts(&command.output().unwrap());
    let packets = rogue.take();
    let packet =
        |kind: &[u8]| packets.iter().find(|packet| packet.starts_with(kind) || kind.is_empty() && packet[0] == 0);
    let startup = packet(b"").unwrap_or_else(|| panic!("{stderr}"));
    let startup = String::from_utf8(startup[8..].to_vec()).unwrap();
    let texts: Vec<&str> = startup.split('\0').collect();
    let value = |name: &str| {
        let index = texts.iter().step_by(2).position(|text| *text == name).unwrap();
        texts[index * 2 + 1].to_owned()
    };
    let password = packet(b"p").unwrap_or_else(|| panic!("no password: {stderr}"));
    let password = String::from_utf8(password[5..password.len() - 1].to_vec()).unwrap();
    (value("user"), value("database"), password)
}

/// libpq reads the passfile or URL itself, and sends the values to a server that requests them.
#[test]
#[ignore = "needs database clients"]
fn libpq_reads_the_same_values_from_passfiles_and_urls() {
    if !has("psql") {
        return skip("libpq_reads_the_same_values_from_passfiles_and_urls", "psql is not installed");
    }
    let sandbox = Sandbox::new();
    let rogue = Rogue::start(Postgres);
    let target = |user: &str, database: &str| -> Option<Target> {
        let [host, user, database, engine] = [HOST, user, database, "postgres"].map(|text| Some(text.to_owned()));
        let spec = TargetSpec { host, port: Some(rogue.port.to_string()), user, database, engine };
        spec.validate(None, || Ok(None)).ok().map(|(target, _)| target)
    };
    let port = rogue.port.to_string();
    let mut tried = 0;
    while tried < 60 {
        let (user, database, token) = (odd_text(20), odd_text(20), odd_text(900));
        let Some(target) = target(&user, &database) else { continue };
        tried += 1;
        let secret = Secret::new(token.clone());
        let expected = (user.clone(), database.clone(), token);
        let file = sandbox.write("pgpass", &render_passfile(&target, None, None, &secret));
        set_mode(&file, 0o600);
        let vars = [
            ("PGPASSFILE", file.to_str().unwrap()),
            ("PGHOST", HOST),
            ("PGHOSTADDR", "127.0.0.1"),
            ("PGPORT", &port),
            ("PGUSER", &user),
            ("PGSSLMODE", "disable"),
            ("PGDATABASE", &database),
        ];
        // `-d` accepts connection settings too, so a database name with `=` is refused.
        assert_eq!(values_from_libpq(&rogue, &sandbox, &vars, &database), expected);
        let url = Url::new(&target, Engine::Postgres, None, Path::new("/ca.pem")).unwrap().render(&secret);
        // The server has neither the endpoint's name nor TLS.
        let url = format!("{url}&hostaddr=127.0.0.1&sslmode=disable");
        assert_eq!(values_from_libpq(&rogue, &sandbox, &[], &url), expected, "{url}");
    }
}

/// Every output format contains the complete token, or the error names the limit of the format.
#[test]
fn a_token_of_any_size_is_complete_or_refused() {
    let sandbox = Sandbox::new();
    let postgres = format!("postgres://app@{HOST}");
    let mut commands: Vec<Vec<&str>> = vec![
        vec![TARGET],
        vec![TARGET, "--output", "json"],
        vec![&postgres, "--output", "url"],
        vec!["cnf", TARGET, "--stdout", "--flavor", "mysql"],
        vec!["cnf", TARGET, "--stdout", "--flavor", "mariadb"],
        vec!["cnf", TARGET, "--stdout", "--flavor", "library"],
        vec!["pgpass", &postgres],
        vec!["connect", TARGET, "--", "env"],
        vec!["connect", &postgres, "--", "env"],
    ];
    for shell in ["sh", "bash", "zsh", "fish", "powershell", "nushell", "cmd", "dotenv"] {
        commands.push(vec!["env", TARGET, "--shell", shell]);
        commands.push(vec!["env", &postgres, "--shell", shell]);
    }
    for size in [300, 1_000, 1_600, 2_500, 4_000, 8_000] {
        let session = "+abc".repeat(size / 4);
        let encoded = "%2Babc".repeat(size / 4);
        let get = |args: &[&str]| sandbox.rds_token(args).env("AWS_SESSION_TOKEN", &session);
        let token = get(&[TARGET]).succeeds();
        assert!(token.contains(&format!("&X-Amz-Security-Token={encoded}&")), "{size}");
        for command in &commands {
            let output = get(command).output();
            let (stdout, stderr) = texts(&output);
            if output.status.success() {
                let stdout =
                    if command[0] == "pgpass" { std::fs::read_to_string(stdout.trim_end()).unwrap() } else { stdout };
                let forms = [encoded.clone(), encoded.replace('%', "%25"), encoded.replace('%', "%%")];
                assert!(forms.iter().any(|form| stdout.contains(form)), "{size}, {command:?}");
            } else {
                // `cnf` prints a file that no client can connect with.
                assert!(stdout.is_empty() || stdout.contains("rds-token-failed"), "{size}, {command:?}: {stdout}");
                assert_eq!(output.status.code(), Some(2), "{size}, {command:?}: {stderr}");
                assert!(stderr.contains("4094") || stderr.contains("8191"), "{size}, {command:?}: {stderr}");
                let is_narrow = ["mariadb", "library", "cmd"].contains(command.last().unwrap());
                assert!(is_narrow && size >= 2_500, "{size}, {command:?}: {stderr}");
            }
        }
    }
}

/// Plants a file, link or directory at each path that the program writes or locks. The command must succeed without
/// changing the target of a link.
#[test]
fn files_planted_by_another_user_are_replaced_and_not_followed() {
    /// Plants something at the first path. A link leads to the second path.
    type Plant = fn(&Path, &Path);
    let kinds: [(&str, Plant); 7] = [
        ("symbolic link", |path, victim| symlink(victim, path).unwrap()),
        ("dangling link", |path, victim| symlink(victim.with_extension("none"), path).unwrap()),
        ("hard link", |path, victim| std::fs::hard_link(victim, path).unwrap()),
        ("pipe", |path, _| {
            let status = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(path).status();
            assert!(status.unwrap().success());
        }),
        ("file readable by others", |path, _| {
            std::fs::write(path, "planted").unwrap();
            set_mode(path, 0o644);
        }),
        ("directory", |path, _| std::fs::create_dir(path).unwrap()),
        ("1 GiB", |path, _| {
            let file = std::fs::File::create(path).unwrap();
            file.set_len(1 << 30).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    let postgres = format!("postgres://app@{HOST}");
    for (kind, plant) in kinds {
        let sandbox = Sandbox::new();
        let cnf = ["cnf", TARGET, "--flavor", "mysql"];
        let (cnf, pgpass) = (&cnf[..], &["pgpass", "-q", &postgres][..]);
        let path = |args: &[&str]| PathBuf::from(sandbox.rds_token(args).succeeds().trim_end());
        let (cnf_file, pgpass_file, ca_file) = (path(cnf), path(pgpass), path(&["ca"]));
        let mut planted = sandbox.cached("lock");
        planted.extend([sandbox.cache().join("swept"), cnf_file.clone(), pgpass_file.clone(), ca_file.clone()]);
        planted.extend(sandbox.cached("token"));
        assert_eq!(planted.len(), 8, "{planted:?}");
        for (number, path) in planted.iter().enumerate() {
            std::fs::remove_file(path).unwrap();
            let victim = sandbox.write(&format!("victim{number}"), "precious");
            set_mode(&victim, 0o640);
            plant(path, &victim);
        }
        for args in [cnf, pgpass, &["ca"], &[TARGET, "--refresh"]] {
            let output = sandbox.rds_token(args).output();
            let (stdout, stderr) = texts(&output);
            assert!(output.status.success() && !stdout.is_empty(), "{kind}, {args:?}: {stderr}");
        }
        for file in [&cnf_file, &pgpass_file, &ca_file] {
            let metadata = std::fs::symlink_metadata(file).unwrap();
            assert!(metadata.is_file(), "{kind}: {}", file.display());
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{kind}: {}", file.display());
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains("X-Amz-Signature") || text.contains("BEGIN CERTIFICATE"), "{kind}: {text}");
        }
        for (number, planted) in planted.iter().enumerate() {
            let victim = sandbox.path(format!("home/victim{number}"));
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{kind}");
            assert_eq!(victim.metadata().unwrap().permissions().mode() & 0o777, 0o640, "{kind}: {}", planted.display());
        }
        let mut names = sandbox.path("home").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        assert!(
            !names.any(|name| name.to_string_lossy().ends_with("none")),
            "{kind}: the target of a link was created"
        );
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The system calls of a run that name a file, without those of the programs that it starts.
fn file_calls(sandbox: &Sandbox, directory: &Path, args: &[&str], vars: &[(&str, &str)]) -> Vec<String> {
    let log = sandbox.path("strace.log");
    let mut command = sandbox.command("strace");
    command.args(["-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o"]).arg(&log).arg(PROGRAM).args(args);
    command.envs(KEYS).envs(vars.iter().copied()).current_dir(directory).output().unwrap();
    let calls = std::fs::read_to_string(&log).unwrap();
    let mut other_programs = Vec::new();
    let is_own_call = |call: &&str| {
        let process = call.split(' ').next().unwrap().to_owned();
        let is_own = !call.contains("resumed>") && !other_programs.contains(&process);
        if call.contains("execve(") && !call.contains(PROGRAM) {
            other_programs.push(process);
        }
        is_own
    };
    calls.lines().filter(is_own_call).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root and strace"]
fn no_file_is_searched_in_the_current_directory() {
    let test = "no_file_is_searched_in_the_current_directory";
    if !has("strace") || !is_root() {
        return skip(test, "needs strace and root, to trace a program that ordinary users can't trace");
    }
    let sandbox = Sandbox::new();
    let trap = sandbox.path("trap");
    let evil = "[default]\naws_access_key_id = AKIDEVIL\naws_secret_access_key = s\n[client]\npassword=x\n";
    for name in [
        ".env",
        ".my.cnf",
        "my.cnf",
        ".pgpass",
        ".pg_service.conf",
        "config",
        "credentials",
        "config.toml",
        ".aws/config",
        ".aws/credentials",
        ".config/rds-token/config.toml",
        "rds-token/config.toml",
        ".rds-token.toml",
        "mysql",
        "psql",
        "mariadb",
        "true",
        "sh",
        "ca.pem",
        ".cache/rds-token/x",
        "libc.so.6",
        "libnss_files.so.2",
        "openssl.cnf",
    ] {
        let path = trap.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, evil).unwrap();
        set_mode(&path, 0o755);
    }
    let sts = Server::sts(std::time::Duration::ZERO, 3600);
    let cache = sandbox.path("cache");
    let postgres = format!("postgres://app@{HOST}/ExampleDB");
    let role = ["--role-arn", "arn:aws:iam::1:role/x"];
    let lines: [&[&str]; 14] = [
        &[TARGET],
        &[TARGET, "-v", "--refresh"],
        &[TARGET, role[0], role[1]],
        &[TARGET, "--profile", "evil"],
        &["cnf", TARGET],
        &["cnf", TARGET, "--flavor", "library", "--stdout"],
        &["pgpass", &postgres],
        &["env", &postgres, "--shell", "sh", "--no-secret"],
        &["connect", TARGET, "--", "true"],
        &["connect", TARGET, "--client", "nosuch"],
        &["prod"],
        &["targets"],
        &["ca"],
        &["cache", "list"],
    ];
    let mut seen = 0;
    for (name, value) in [
        ("PATH", ".:trap::/usr/bin:/bin"),
        ("XDG_CONFIG_HOME", "."),
        ("XDG_CACHE_HOME", "."),
        ("XDG_RUNTIME_DIR", "."),
        ("RDS_TOKEN_CACHE_DIR", "."),
        ("HOME", "."),
        ("HOME", ""),
    ] {
        for args in lines {
            // With XDG_CACHE_HOME, the home directory in the user database is not used.
            let mut vars = vec![("PATH", "/usr/bin:/bin"), ("XDG_CACHE_HOME", cache.to_str().unwrap())];
            vars.extend([("AWS_ENDPOINT_URL_STS", sts.url.as_str()), (name, value)]);
            for call in file_calls(&sandbox, &trap, args, &vars) {
                // A relative path below an open directory.
                if call.split_once('(').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit())) {
                    continue;
                }
                // An empty path stands for the open file itself.
                let Some(path) = call.split('"').nth(1).filter(|path| !path.is_empty()) else { continue };
                seen += 1;
                let is_elsewhere = path.starts_with('/') && !Path::new(path).starts_with(&trap);
                assert!(is_elsewhere, "{name}={value}, {args:?}: {call}");
            }
        }
    }
    assert!(seen > 1_000, "{seen} calls were seen");
}

/// A file that the program creates has mode 0600 from the start. It is created exclusively, unless it is a lock file.
#[test]
#[ignore = "needs root and strace"]
fn new_files_are_private_from_the_start() {
    let test = "new_files_are_private_from_the_start";
    if !has("strace") || !is_root() {
        return skip(test, "needs strace and root, to trace a program that ordinary users can't trace");
    }
    let sandbox = Sandbox::new();
    let mut created = 0;
    let postgres = format!("postgres://app@{HOST}");
    for args in [&[TARGET][..], &["cnf", TARGET, "--flavor", "mysql"], &["pgpass", &postgres], &["ca"]] {
        for call in file_calls(&sandbox, &sandbox.path(""), args, &[("PATH", "/usr/bin:/bin")]) {
            if call.contains("O_CREAT") {
                created += 1;
                assert!(call.contains(", 0600)"), "{call}");
                assert!(
                    call.contains("O_EXCL")
                        || (call.contains("O_NOFOLLOW") && (call.contains(".lock\"") || call.contains(".waiting\""))),
                    "{call}"
                );
            }
            assert!(!call.contains("mkdir") || call.contains(", 0700)"), "{call}");
        }
    }
    assert!(created >= 6, "{created} files were created");
}

#[test]
fn every_part_of_the_identity_changes_the_cache_key() {
    let sandbox = Sandbox::new();
    let profiles = "[profile a]\nrole_arn = r\nsource_profile = base\n[profile b]\nrole_arn = r\n\
                    source_profile = base\n[profile base]\naws_access_key_id = A\naws_secret_access_key = s\n";
    let config = sandbox.write("config", profiles).into_os_string();
    let same = sandbox.write("same", profiles).into_os_string();
    let changed = sandbox.write("changed", &profiles.replace("= s", "= other")).into_os_string();
    let key = |vars: &[(&str, OsString)], target: &str, profile: Option<&str>, role: Option<&str>| {
        // The first value of a variable counts.
        let defaults = [("AWS_CONFIG_FILE", config.clone()), ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".into())];
        let vars = vars.iter().chain(&defaults).map(|(name, value)| ((*name).into(), value.clone()));
        let env = Env::with_vars(vars.collect());
        let profiles = ProfileFiles::new(env.deadline(std::time::Duration::from_secs(60)));
        let choice = Choice { profile, role_arn: role, ..Choice::default() };
        let identity = Identity::find(&env, &profiles, choice).unwrap();
        // The prefix selects another region.
        let region = if target.starts_with("r@") { "us-east-1" } else { "eu-west-1" };
        let spec = TargetSpec::parse(target.trim_start_matches("r@")).unwrap();
        let target = spec.validate(Some(Region::of_flag(region)), || Ok(None)).unwrap().0;
        Key::of(&env, &target, LIFETIME, identity.fingerprint()).as_str().to_owned()
    };
    let keys =
        |id: &str, secret: &str| vec![("AWS_ACCESS_KEY_ID", id.into()), ("AWS_SECRET_ACCESS_KEY", secret.into())];
    let with = |name: &'static str, value: &str| [keys("A", "s"), vec![(name, value.into())]].concat();
    let target = "u@db.example.com:3306";
    let base = key(&keys("A", "s"), target, None, None);
    assert_eq!(key(&keys("A", "s"), target, None, None), base, "nothing changed");
    assert_eq!(key(&with("LANG", "x"), &format!("{target}/Ex"), None, None), base, "nothing relevant changed");
    let mut all = vec![base];
    for other in
        ["u@other.example.com:3306", "u@db.example.com:3307", "v@db.example.com:3306", "r@u@db.example.com:3306"]
    {
        all.push(key(&keys("A", "s"), other, None, None));
    }
    all.push(key(&keys("A", "s"), target, None, Some("arn:aws:iam::1:role/x")));
    all.push(key(&keys("A", "s"), target, None, Some("arn:aws:iam::1:role/y")));
    all.push(key(&keys("B", "s"), target, None, None));
    all.push(key(&keys("A", "t"), target, None, None));
    for (name, value) in [
        ("AWS_SESSION_TOKEN", "x"),
        ("AWS_CREDENTIAL_EXPIRATION", "2030-01-01T00:00:00Z"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/x"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/x"),
        ("AWS_ROLE_ARN", "x"),
        ("AWS_ROLE_SESSION_NAME", "x"),
        ("AWS_ENDPOINT_URL", "https://x.y"),
        ("AWS_ENDPOINT_URL_STS", "https://x.y"),
    ] {
        all.push(key(&with(name, value), target, None, None));
    }
    all.push(key(&[], target, Some("a"), None));
    all.push(key(&[], target, Some("base"), None));
    all.push(key(&[("AWS_CONFIG_FILE", same)], target, Some("a"), None));
    all.push(key(&[("AWS_CONFIG_FILE", changed)], target, Some("a"), None));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "two cases have the same key");
}
