//! User settings and client limits that would redirect a login or make it fail.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{HOST, PROGRAM, Run, Sandbox, Server, TARGET, has, skip, texts};
use crate::servers::lab;

/// Writes a login path file as `mysql_config_editor` does: 4 unused bytes, a key of 20 bytes, and for each line its
/// length and the line, encrypted with AES-128-ECB under the key folded to 16 bytes.
///
/// Source: `client/mysql_config_editor.cc` and `mysys/my_default.cc` in MySQL.
fn write_login_path(sandbox: &Sandbox, text: &str) -> PathBuf {
    use std::io::Write as _;
    let mut bytes = vec![0; 4];
    let key: Vec<u8> = (1..=20).collect();
    bytes.extend(&key);
    let mut folded = [0u8; 16];
    key.iter().enumerate().for_each(|(index, byte)| folded[index % 16] ^= byte);
    let hex: String = folded.iter().map(|byte| format!("{byte:02x}")).collect();
    for line in text.split_inclusive('\n') {
        let mut openssl = Command::new("openssl");
        openssl.args(["enc", "-aes-128-ecb", "-K", &hex]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = openssl.spawn().unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let encrypted = child.wait_with_output().unwrap().stdout;
        bytes.extend(u32::try_from(encrypted.len()).unwrap().to_le_bytes());
        bytes.extend(encrypted);
    }
    let path = sandbox.path("home/.mylogin.cnf");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

const LOGIN_PATH: &str = "[client]\nuser = \"mallory\"\npassword = \"wrong\"\nhost = \"127.0.0.2\"\nport = 1\n";

/// MySQL's own programs read the login path file after every option file.
#[test]
#[ignore = "needs database servers"]
fn a_login_path_redirects_no_client() {
    let Some(lab) = lab("a_login_path_redirects_no_client") else { return };
    let mysql = lab.mysql.bin.clone().unwrap().join("mysql");
    let sandbox = Sandbox::new();
    write_login_path(&sandbox, LOGIN_PATH);
    let keys = lab.key("static");
    let target = format!("mysql://{}@{}:{}", lab.user, lab.host, lab.mysql.port);
    let run = |mut command: Command| {
        command.env("AWS_ACCESS_KEY_ID", &keys.access_key_id).env("AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
        let output = lab.on_loopback(&mut command).output().unwrap();
        (output.status.success(), texts(&output))
    };
    let mut connect = sandbox.command(PROGRAM);
    connect.args(["connect", &target, "--ca", &lab.ca, "--"]).arg(&mysql).args(["-NBe", "SELECT CURRENT_USER()"]);
    let (has_succeeded, (stdout, stderr)) = run(connect);
    assert!(has_succeeded && stderr.is_empty(), "{stderr}");
    assert_eq!(stdout, format!("{}@%\n", lab.user));

    // The client reads the login path file even with a file of `cnf`, so there is a warning with the remedy.
    let cnf = sandbox.rds_token(["cnf", &target, "--ca", &lab.ca, "--flavor", "mysql"]);
    let (path, warning) = cnf.warns();
    assert!(warning.contains("mylogin.cnf overrides host, user and password"), "{warning}");
    assert!(warning.contains("MYSQL_TEST_LOGIN_FILE=/dev/null") && warning.lines().count() == 1, "{warning}");
    let mut with_file = sandbox.command(&mysql);
    with_file.arg(format!("--defaults-file={}", path.trim_end())).args(["--print-defaults"]);
    let (_, (stdout, _)) = run(with_file);
    assert!(stdout.contains("--user=mallory") && stdout.contains("--host=127.0.0.2"), "{stdout}");
    for args in [
        ["cnf", &target, "--flavor", "mariadb"],
        ["cnf", &target, "--flavor", "library"],
        ["env", &target, "--shell", "sh"],
    ] {
        let (_, stderr) = sandbox.rds_token(args).warns();
        assert!(!stderr.contains("mylogin"), "{args:?}: {stderr}");
    }
    // `env` disables the login path file.
    let env = sandbox.rds_token(["env", &target, "--shell", "sh", "--no-secret"]);
    let path = format!("{}:/usr/bin:/bin", mysql.parent().unwrap().display());
    assert!(env.env("PATH", path).succeeds().contains("export MYSQL_TEST_LOGIN_FILE='/dev/null';"));
    let quiet = sandbox.rds_token(["cnf", &target, "--flavor", "mysql"]);
    quiet.env("MYSQL_TEST_LOGIN_FILE", "/dev/null").succeeds();
}

/// Writes a program that prints its arguments, the variables of clients and its option file. `version` is its output
/// for `--version`.
fn write_client(sandbox: &Sandbox, name: &str, version: &str) -> PathBuf {
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo '{version}'; exit; }}\n\
         printf '<%s>' \"$@\"; echo; env | grep -E '^(MYSQL|RDS|LIBMYSQL)' | sort\n\
         case $1 in --defaults-file=*) cat \"${{1#*=}}\";; esac\n"
    );
    let path = sandbox.write(&format!("bin/{name}"), &script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const MARIADB: &str = "mysql  Ver 15.1 Distrib 10.11.14-MariaDB, for debian-linux-gnu";
const MYSQL_5_7: &str = "mysql  Ver 14.14 Distrib 5.7.44, for Linux (x86_64)";
const MYSQL_9_7: &str = "mysql  Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)";

#[test]
fn a_token_too_long_for_the_option_file_is_in_the_environment() {
    let session = "s".repeat(6_000);
    for (version, in_environment) in [(MARIADB, true), (MYSQL_5_7, true), (MYSQL_9_7, false)] {
        let sandbox = Sandbox::new();
        let program = write_client(&sandbox, "mysql", version);
        let run = || {
            let run =
                sandbox.rds_token([OsStr::new("connect"), OsStr::new(TARGET), OsStr::new("--"), program.as_os_str()]);
            run.env("AWS_SESSION_TOKEN", &session)
        };
        let stdout = run().succeeds();
        assert_eq!(stdout.contains(&format!("MYSQL_PWD={HOST}")), in_environment, "{version}");
        assert_eq!(stdout.contains(&format!("password=\"{HOST}")), !in_environment, "{version}");
        assert!(stdout.matches(&session).count() == 1 && stdout.contains("<--defaults-file="), "{version}");
        assert!(!stdout.lines().next().unwrap().contains("Signature"), "no argument contains the token");
        // A password in the user's own file would override the variable.
        for line in
            ["password=own", "skip-password", "password1=own", "loose-maximum-password=own", "pass=own", "pa=own"]
        {
            sandbox.write(".my.cnf", &format!("[client]\nprompt=mine\n{line}\n"));
            let (stdout, stderr) = run().warns();
            assert_eq!(
                stderr.contains("is not included: it has a password, which would override the target"),
                in_environment,
                "{stderr}"
            );
            assert_eq!(stdout.contains("!include"), !in_environment, "{version}: {line}");
        }
        // `cnf` can pass the token only in the file.
        let cnf = sandbox.rds_token(["cnf", TARGET]).env("AWS_SESSION_TOKEN", &session);
        let cnf = cnf.env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()));
        match in_environment {
            true => assert!(cnf.fails(2).contains("reads only 4094"), "{version}"),
            false => assert!(cnf.output().status.success()),
        }
    }
}

/// Runs `cnf` with this `~/.my.cnf`. Returns the option file and stderr.
fn cnf_with_user_file(sandbox: &Sandbox, user_file: impl AsRef<[u8]>) -> (String, String) {
    std::fs::write(sandbox.path("home/.my.cnf"), user_file).unwrap();
    sandbox.rds_token(["cnf", TARGET, "--flavor", "mysql", "--stdout"]).warns()
}

#[test]
fn a_user_file_with_dns_srv_name_is_not_included() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("more.cnf", "[client]\ndns-srv-name=x\n");
    let directory = sandbox.write("more.d/a.cnf", "[client]\ndns-srv-name=x\n");
    let (file, directory) = (file.display(), directory.parent().unwrap().display());
    for line in [
        "dns-srv-name=_mysql._tcp.example.com",
        "loose_dns_srv_name = x",
        "dns-srv=x",
        "maximum-dns-srv-name=x",
        "loose-maximum-dns_srv_name=x",
        "dns-srv-name\u{b}=x",
        "skip-dns-srv-name",
        "!include ~/more.cnf",
        &format!("!include {file}"),
        &format!("! include {file}"),
        &format!("!includedir {directory}"),
        &format!("!  includedir {directory}"),
    ] {
        let (text, stderr) = cnf_with_user_file(&sandbox, format!("[mysql]\nprompt=mine\n[client]\n{line}\n"));
        assert!(!text.contains("!include"), "{line}: {text}");
        assert!(stderr.contains(".my.cnf is not included: it has dns-srv-name"), "{line}: {stderr}");
    }
    // MySQL's own programs trim the white space of latin1.
    let (text, stderr) = cnf_with_user_file(&sandbox, b"[client]\n\xa0dns-srv-name=x\n");
    assert!(stderr.contains("has dns-srv-name") && !text.contains("!include"), "{stderr}");
}

#[test]
fn a_user_file_that_cannot_be_checked_is_not_included() {
    let sandbox = Sandbox::new();
    for text in ["#".repeat(2 << 20), "!include x.cnf\n".to_owned(), "!include /dev/zero\n".to_owned()] {
        let (text, stderr) = cnf_with_user_file(&sandbox, text);
        assert!(stderr.contains("could not check") && !text.contains("!include"), "{stderr}");
    }
    let fifo = sandbox.path("home/.my.cnf");
    std::fs::remove_file(&fifo).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (_, stderr) = sandbox.rds_token(["cnf", TARGET, "--flavor", "mysql", "--stdout"]).warns();
    assert!(stderr.contains("could not check"), "{stderr}");
    sandbox.rds_token(["cnf", TARGET, "--flavor", "library", "--stdout"]).succeeds();
}

#[test]
fn text_that_clients_ignore_does_not_exclude_the_user_file() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.d/README", "dns-srv-name = example\n");
    sandbox.write("plain.d/sub/x.cnf", "dns-srv-name = example\n");
    let plain = sandbox.path("home/plain.d");
    let circle = sandbox.path("home/circle.d");
    sandbox.write("circle.d/a.cnf", &format!("!includedir {}\n", circle.display()));
    for user_file in [
        format!("!include /nonexistent/x.cnf\n!includedir {}\n", plain.display()),
        format!("!includedir {}\n", circle.display()),
        "# dns-srv-name=x\n[mysql]\nprompt=mine\nd=1\n".to_owned(),
    ] {
        let (text, stderr) = cnf_with_user_file(&sandbox, &user_file);
        assert!(text.contains("!include") && stderr.is_empty(), "{user_file}: {stderr}");
    }
}

#[test]
fn programs_that_are_not_clients_get_an_option_file() {
    let sandbox = Sandbox::new();
    let program = write_client(&sandbox, "mydumper", "mydumper 0.10.1");
    let run = |args: &[&str]| {
        let program = program.to_str().unwrap();
        sandbox.rds_token([&["connect", TARGET], args, &["--", program, "-B", "x"]].concat()).warns()
    };
    let (stdout, stderr) = run(&[]);
    assert_eq!(stderr, "", "with MYSQL_HOME it verifies the server");
    assert!(stdout.starts_with("<-B><x>\n") && stdout.contains("\nMYSQL_PWD="), "{stdout}");
    let home = stdout.lines().find_map(|line| line.strip_prefix("MYSQL_HOME=")).unwrap();
    assert!(Path::new(home).join("my.cnf").is_file(), "{home}");
    assert!(stdout.contains("\nMYSQL_TEST_LOGIN_FILE=/dev/null\n"), "{stdout}");
    assert!(!stdout.contains("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN"), "{stdout}");
    let cnf = stdout.lines().find_map(|line| line.strip_prefix("RDS_TOKEN_CNF=")).unwrap();
    let text = std::fs::read_to_string(cnf).unwrap();
    assert!(text.contains("ssl-verify-server-cert=1") && text.contains("user=\"dbiamuser\""), "{text}");
    // A program that does not read option files gets a warning.
    let mycli = write_client(&sandbox, "mycli", "1.0");
    let (_, stderr) = sandbox.rds_token(["connect", TARGET, "--", mycli.to_str().unwrap()]).warns();
    assert!(stderr.contains("mycli does not read option files, so") && stderr.lines().count() == 1, "{stderr}");
    let (stdout, stderr) = run(&["--client-flavor", "library"]);
    assert!(stdout.starts_with("<--defaults-file=") && stdout.contains("><-B><x>\n"), "{stdout}");
    assert!(stdout.contains("\nssl-verify-server-cert=1\n") && !stdout.contains("\nMYSQL_PWD="), "{stdout}");
    assert_eq!(stderr, "");
    // PostgreSQL's programs do not read option files.
    let env = sandbox.rds_token(["connect", "postgres://u@db.abc123.eu-west-1.rds.amazonaws.com", "--", "env"]);
    assert!(!env.succeeds().contains("RDS_TOKEN_CNF"));
}

/// An option file can't make MySQL's own client library verify TLS.
#[test]
fn a_program_linked_with_libmysqlclient_gets_a_warning() {
    let sandbox = Sandbox::new();
    let program = sandbox.write("bin/loader", "");
    // An ELF file with the name of a library, as in its dynamic section.
    let mut elf = std::fs::read("/bin/true").unwrap();
    elf.extend(b"\0libmysqlclient.so.24\0");
    std::fs::write(&program, elf).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    for args in [&[][..], &["--client-flavor", "library"]] {
        let connect = [&["connect", TARGET], args, &["--", program.to_str().unwrap()]].concat();
        let (_, stderr) = sandbox.rds_token(connect).warns();
        assert!(
            stderr.contains("loader is linked with MySQL's own client library") && stderr.lines().count() == 1,
            "{stderr}"
        );
    }
}

/// The plugin sends the password in clear text. In a shell, it would expose the passwords of other servers too.
#[test]
fn only_clients_that_verify_get_the_cleartext_plugin() {
    let sandbox = Sandbox::new();
    let postgres = "postgres://u@db.abc123.eu-west-1.rds.amazonaws.com";
    for args in [&["env", TARGET][..], &["env", TARGET, "--no-secret"], &["env", postgres]] {
        let (lines, _) = sandbox.rds_token([args, &["--shell", "sh"]].concat()).warns();
        assert!(!lines.contains("CLEARTEXT"), "{lines}");
    }
    let (text, _) = sandbox.rds_token(["cnf", TARGET, "--flavor", "library", "--stdout"]).warns();
    assert!(!text.contains("cleartext"), "{text}");
    for (name, has_variable) in [("mysql", false), ("mysqldump", false), ("mysqlbinlog", true)] {
        let program = write_client(&sandbox, name, MYSQL_9_7);
        let stdout = sandbox.rds_token(["connect", TARGET, "--", program.to_str().unwrap()]).succeeds();
        assert!(stdout.contains("ssl-mode=VERIFY_IDENTITY"), "{stdout}");
        assert_eq!(stdout.contains("LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN=1"), has_variable, "{name}");
    }
}

#[test]
fn without_a_writable_directory_the_ca_is_in_memory() {
    let sandbox = Sandbox::new();
    let program = write_client(&sandbox, "mysql", MYSQL_9_7);
    let without_directory = |args: &[&OsStr]| -> Run {
        let run = sandbox.rds_token(args.iter().chain(&[program.as_os_str()])).env("HOME", "/dev/null");
        run.env("RDS_TOKEN_CACHE_DIR", "/dev/null/x")
    };
    let (stdout, stderr) = without_directory(&["connect".as_ref(), TARGET.as_ref(), "--".as_ref()]).warns();
    assert!(stdout.contains("ssl-ca=\"/proc/self/fd/") && stdout.contains("VERIFY_IDENTITY"), "{stdout}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let cat = "cat \"$PGSSLROOTCERT\" | grep -c BEGIN";
    let postgres = "postgres://u@db.abc123.eu-west-1.rds.amazonaws.com";
    let run = sandbox.rds_token(["connect", postgres, "--", "sh", "-c", cat]).env("HOME", "/dev/null");
    let (stdout, _) = run.env("RDS_TOKEN_CACHE_DIR", "/dev/null/x").warns();
    assert!(stdout.trim().parse::<u32>().unwrap() > 50, "{stdout}");
}

/// A client must not get a token of the identity in another shell.
#[test]
fn each_identity_of_the_environment_has_its_own_file() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/credentials",
        "[a]\naws_access_key_id = AKIDA\naws_secret_access_key = s\n\
         [b]\naws_access_key_id = AKIDB\naws_secret_access_key = s\n",
    );
    let sts = Server::sts(std::time::Duration::ZERO, 3600);
    let jwt = sandbox.write("jwt", "jwt.x");
    let cnf = |run: Run| run.env("AWS_ENDPOINT_URL_STS", &sts.url).succeeds();
    let run = || sandbox.without_keys(["cnf", TARGET, "--flavor", "mysql"]);
    let web = |role: &str| {
        let run = run().env("AWS_WEB_IDENTITY_TOKEN_FILE", &jwt);
        cnf(run.env("AWS_ROLE_ARN", format!("arn:aws:iam::123456789012:role/{role}")))
    };
    let keys = |id: &str| cnf(run().env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", "s"));
    let paths = [
        cnf(run().env("AWS_PROFILE", "a")),
        cnf(run().env("AWS_PROFILE", "b")),
        keys("AKIDC"),
        keys("AKIDD"),
        web("x"),
        web("y"),
    ];
    // Other identities of the environment: another credentials file, other containers.
    let other = sandbox.write("other", "[a]\naws_access_key_id = AKIDZ\naws_secret_access_key = s\n");
    let in_other_file = cnf(run().env("AWS_PROFILE", "a").env("AWS_SHARED_CREDENTIALS_FILE", &other));
    let keys = "{\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\",\"Token\":\"t\"}";
    let endpoint = Server::start(move |_, _| (200, keys.to_owned()));
    let container =
        |path: &str| cnf(run().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/{path}", endpoint.url)));
    let paths = [&paths[..], &[in_other_file, container("a"), container("b")]].concat();
    let mut distinct = paths.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), paths.len(), "{paths:?}");
    // The path of an identity stays the same, even if the token of the pod is rotated.
    std::fs::write(&jwt, "jwt.rotated").unwrap();
    assert_eq!([cnf(run().env("AWS_PROFILE", "a")), web("x")], [paths[0].clone(), paths[4].clone()]);
}

#[test]
fn the_path_of_the_ca_file_is_the_same_in_every_login() {
    let sandbox = Sandbox::new();
    let path = sandbox.without_keys(["ca"]).succeeds();
    assert_eq!(Path::new(path.trim_end()), sandbox.path("home/.local/share/rds-token/rds-ca.pem"));
    let run = |name: &str, value: &Path| sandbox.without_keys(["ca"]).env(name, value);
    let runtime = sandbox.path("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(run("XDG_RUNTIME_DIR", &runtime).succeeds(), path, "the same in a login and in cron");
    assert_eq!(run("RDS_TOKEN_CACHE_DIR", &sandbox.path("cache")).succeeds(), path);
    let data = sandbox.path("data");
    assert_eq!(run("XDG_DATA_HOME", &data).succeeds(), format!("{}\n", data.join("rds-token/rds-ca.pem").display()));
    // Without a data directory, it is in the cache directory.
    let cache = sandbox.path("other-cache");
    let run = sandbox.without_keys(["ca"]).env("HOME", "/dev/null").env("RDS_TOKEN_CACHE_DIR", &cache);
    assert_eq!(run.succeeds(), format!("{}\n", cache.join("rds-ca.pem").display()));
}

/// A dotenv file can't unset variables, so it sets conflicting variables of an earlier step to an empty value.
#[test]
#[ignore = "needs database clients"]
fn dotenv_lines_clear_conflicting_variables() {
    let postgres = format!("postgres://u@{HOST}");
    let sandbox = Sandbox::new();
    let env = |args: &[&str]| sandbox.rds_token([&["env", &postgres, "--shell", "dotenv"], args].concat());
    let lines = env(&["--no-secret"]).succeeds();
    for line in ["\nPGPASSWORD=\n", "\nPGHOSTADDR=\n", "\nPGDATABASE=\n", "\nPGPASSFILE=/"] {
        assert!(lines.contains(line), "{line:?}: {lines}");
    }
    // libpq looks for a service with an empty name.
    assert!(!lines.contains("PGSERVICE"), "{lines}");
    let (_, stderr) = env(&[]).env("PGSERVICE", "x").warns();
    assert!(stderr.contains("PGSERVICE is set"), "{stderr}");
    if !has("psql") {
        return skip("dotenv_lines_clear_conflicting_variables", "psql is not installed");
    }
    let mut psql = sandbox.command("psql");
    psql.args(["-c", "SELECT 1"]).envs(lines.lines().filter_map(|line| line.split_once('=')));
    psql.env("PGHOST", "localhost").env("PGPORT", "1").env("PGHOSTADDR", "");
    let stderr = texts(&psql.output().unwrap()).1;
    assert!(stderr.contains("port 1 failed: Connection refused"), "libpq ignores an empty variable: {stderr}");
}

#[test]
fn mysql_secure_installation_is_a_client() {
    let sandbox = Sandbox::new();
    let program = write_client(&sandbox, "mysql_secure_installation", MYSQL_9_7);
    let stdout = sandbox.rds_token(["connect", TARGET, "--", program.to_str().unwrap()]).succeeds();
    assert!(stdout.starts_with("<--defaults-file="), "{stdout}");
}
