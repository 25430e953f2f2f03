//! Output for shells, read by real shells: export lines and the shell integration.

use std::process::Output;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::harness::{HOST, KEYS, PROGRAM, Run, Sandbox, has, skip, texts};

/// Characters that quoting must preserve.
const SPECIAL_CHARACTERS: &str = "a'b\"c\\d e#f$g`h%i é日";

/// The shells in Debian that `eval` the output.
const SHELLS: [&str; 4] = ["sh", "bash", "zsh", "fish"];

/// Returns a line that evaluates the output of the program.
fn eval(shell: &str, arguments: &str) -> String {
    match shell {
        "nu" => panic!("nushell evaluates files only"),
        "fish" => format!("eval (rds-token {arguments})\nor exit\n"),
        _ => format!("eval \"$(rds-token {arguments})\"\n"),
    }
}

/// Returns a run of `script` in a shell with strict options, without the user's startup files, and with the program on
/// PATH.
pub(crate) fn run(sandbox: &Sandbox, shell: &str, script: &str) -> Run {
    let strict: &[&str] = match shell {
        "sh" => &["-e", "-u", "-c"],
        "bash" => &["--norc", "-e", "-u", "-o", "pipefail", "-c"],
        "zsh" => &["-f", "-e", "-u", "-o", "pipefail", "-o", "warncreateglobal", "-o", "rcquotes", "-c"],
        _ => &["--no-config", "-c"],
    };
    let mut command = sandbox.command(shell);
    command.envs(KEYS).args(strict).arg(script);
    let program = std::path::Path::new(PROGRAM).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(program.into()).chain(std::env::split_paths(&path))).unwrap();
    Run { command }.env("PATH", path)
}

/// As [`run`], with the functions that `init` defines and two configured targets.
pub(crate) fn integrated(sandbox: &Sandbox, shell: &str, script: &str) -> Run {
    let target = |name: &str, more: &str| format!("[target.{name}]\nhost = '{HOST}'\nuser = 'app'\n{more}\n");
    let config = target("prod", "port = 5432") + &target("my-2", "port = 3306");
    let config = sandbox.write(".config/rds-token/config.toml", &config);
    let init = match shell {
        "fish" => "rds-token init fish | source\n".to_owned(),
        _ => format!("eval \"$(rds-token init {shell})\"\n"),
    };
    run(sandbox, shell, &(init + script)).env("RDS_TOKEN_CONFIG", config)
}

/// Whether `shell` is installed. Reports a skipped test if not.
pub(crate) fn can_run(test: &str, shell: &str) -> bool {
    let is_there = has(shell);
    if !is_there {
        skip(test, &format!("{shell} is not installed"));
    }
    is_there
}

/// Returns the variables for clients in the output of `env -0`.
fn environment(output: &Output) -> Vec<(String, String)> {
    let (_, stderr) = texts(output);
    assert!(output.status.success() && stderr.is_empty(), "{}: {stderr}", output.status);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let pairs = text.split_terminator('\0').map(|pair| pair.split_once('=').unwrap());
    let is_ours = |name: &str| {
        let prefixes = ["PG", "MYSQL_", "LIBMYSQL_", "RDS_TOKEN_EXPIRES_AT", "RDS_TOKEN_CNF", "MARIADB_"];
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    // Directory names contain digests.
    let value = |name: &str, value: &str| match name.ends_with("_HOME") && value.ends_with(".home") {
        true => "a directory".to_owned(),
        false => value.to_owned(),
    };
    let mut ours: Vec<_> = pairs.filter(|(name, _)| is_ours(name)).map(|(n, v)| (n.to_owned(), value(n, v))).collect();
    ours.sort();
    ours
}

/// Returns flags that contain [`SPECIAL_CHARACTERS`], and the variables that `env` sets for them.
fn expected(sandbox: &Sandbox, engine: &str) -> (Vec<String>, Vec<(String, String)>) {
    let ca = sandbox.write(&format!("{SPECIAL_CHARACTERS}.pem"), "").to_str().unwrap().to_owned();
    let port = if engine == "postgres" { "5432" } else { "3306" };
    let flags = [
        "--host",
        HOST,
        "--port",
        port,
        "--user",
        SPECIAL_CHARACTERS,
        "--database",
        SPECIAL_CHARACTERS,
        "--ca",
        &ca,
        "--engine",
        engine,
    ];
    let json = sandbox.rds_token(flags.iter().chain(&["--output", "json"])).succeeds();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (token, ends) = (json["token"].as_str().unwrap(), json["expires_at"].as_str().unwrap());
    let pairs: &[(&str, &str)] = match engine {
        "postgres" => &[
            ("PGDATABASE", SPECIAL_CHARACTERS),
            ("PGGSSENCMODE", "disable"),
            ("PGHOST", HOST),
            ("PGPASSWORD", token),
            ("PGPORT", port),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", &ca),
            ("PGUSER", SPECIAL_CHARACTERS),
        ],
        _ => &[
            ("MARIADB_HOME", "a directory"),
            ("MYSQL_HOME", "a directory"),
            ("MYSQL_HOST", HOST),
            ("MYSQL_PWD", token),
            ("MYSQL_TCP_PORT", port),
            ("MYSQL_TEST_LOGIN_FILE", "/dev/null"),
        ],
    };
    let ends = [("RDS_TOKEN_EXPIRES_AT", ends)];
    let pairs = pairs.iter().chain(&ends).map(|(n, v)| (n.to_string(), v.to_string()));
    (flags.iter().map(|flag| flag.to_string()).collect(), pairs.collect())
}

#[test]
fn every_variable_arrives_byte_for_byte() {
    for shell in SHELLS {
        if !can_run("every_variable_arrives_byte_for_byte", shell) {
            continue;
        }
        // fish decodes bytes differently in a locale that is not UTF-8.
        for (engine, locale) in [("postgres", "C"), ("postgres", "C.UTF-8"), ("mysql", "C")] {
            let sandbox = Sandbox::new();
            let (flags, expected) = expected(&sandbox, engine);
            let arguments = if shell == "fish" { "$argv" } else { "\"$@\"" };
            let script = eval(shell, &format!("env -q --shell {shell} {arguments}")) + "env -0";
            let mut run = run(&sandbox, shell, &script).env("LC_ALL", locale);
            // Variables of an earlier target.
            let rivals = ["PGHOSTADDR", "PGPASSFILE", "RDS_TOKEN_CNF"]
                .iter()
                .filter(|name| name.starts_with("PG") == (engine == "postgres"));
            run.command.envs(rivals.map(|name| (name, "left over")));
            run.command.arg(if shell == "fish" { "--" } else { "shell" });
            run.command.args(flags);
            assert_eq!(environment(&run.output()), expected, "{shell} {engine} {locale}");
        }
    }
}

/// Debian does not have nushell, but npm does.
#[test]
fn nushell_reads_every_variable_from_a_file() {
    if !has("nu") {
        return;
    }
    for engine in ["postgres", "mysql"] {
        let sandbox = Sandbox::new();
        let (flags, expected) = expected(&sandbox, engine);
        let print = ["env", "-q", "--shell", "nushell"].map(str::to_owned);
        let lines = sandbox.rds_token(print.iter().chain(&flags)).succeeds();
        let unset = sandbox.rds_token(["env", "--shell", "nushell", "--unset"]).succeeds();
        let evaluate = |lines: &str| {
            let script = sandbox.write("script.nu", &format!("{lines}\n^env -0 | save --raw --force output\n"));
            let output = sandbox.command("nu").args(["-n".as_ref(), script.as_os_str()]).output().unwrap();
            assert!(output.status.success(), "{:?}", texts(&output));
            let stdout = std::fs::read(sandbox.path("output")).unwrap();
            environment(&Output { stdout, ..output })
        };
        assert_eq!(evaluate(&lines), expected);
        assert_eq!(evaluate(&(lines + &unset)), []);
    }
}

#[test]
fn unset_removes_all_variables() {
    let names = [
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSWORD",
        "PGPASSFILE",
        "PGSSLMODE",
        "PGSSLROOTCERT",
        "PGGSSENCMODE",
        "MYSQL_HOST",
        "MYSQL_TCP_PORT",
        "MYSQL_PWD",
        "MYSQL_HOME",
        "MARIADB_HOME",
        "MYSQL_TEST_LOGIN_FILE",
        "RDS_TOKEN_CNF",
        "RDS_TOKEN_EXPIRES_AT",
    ];
    for shell in SHELLS {
        if !can_run("unset_removes_all_variables", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let script = eval(shell, &format!("env --shell {shell} --unset")) + "env -0";
        let mut given = run(&sandbox, shell, &script);
        given.command.envs(names.map(|name| (name, "given")));
        assert_eq!(environment(&given.output()), [], "{shell}");
        // Unsetting succeeds if the variables are not set.
        assert_eq!(environment(&run(&sandbox, shell, &script).output()), [], "{shell}");
    }
}

#[test]
fn github_masks_the_token_before_it_is_used() {
    let sandbox = Sandbox::new();
    let (flags, expected) = expected(&sandbox, "postgres");
    let file = sandbox.write("github_env", "BEFORE=1\n");
    let env = ["env", "--shell", "github"].map(str::to_owned);
    let run = || sandbox.rds_token(env.iter().chain(&flags)).env("GITHUB_ENV", file.as_os_str());
    let token = &expected.iter().find(|(name, _)| name == "PGPASSWORD").unwrap().1;
    assert!(token.contains('%'));
    assert_eq!(run().succeeds(), format!("::add-mask::{}\n", token.replace('%', "%25")));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(lines[0], ("BEFORE", "1"));
    let mut lines: Vec<_> = lines[1..].iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    lines.sort();
    // Variables of an earlier step are set to an empty value.
    let (cleared, set): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(_, value)| value.is_empty());
    assert_eq!(set, expected);
    assert_eq!(cleared.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["PGHOSTADDR", "PGPASSFILE"]);
    // A path is not a secret.
    assert_eq!(
        sandbox
            .rds_token(env.iter().chain(&flags).chain(&["--no-secret".to_owned()]))
            .env("GITHUB_ENV", file.as_os_str())
            .succeeds(),
        ""
    );
    // On failure, stdout is empty.
    std::fs::remove_file(&file).unwrap();
    assert!(run().fails(1).starts_with("could not write to "));
    assert!(run().without("GITHUB_ENV").fails(2).contains("GITHUB_ENV is not set"));
}

#[test]
fn init_prints_nothing_and_leaves_no_variables() {
    for shell in ["bash", "zsh", "fish"] {
        if !can_run("init_prints_nothing_and_leaves_no_variables", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        assert_eq!(integrated(&sandbox, shell, "").succeeds(), "", "{shell}");
        // The functions leave no variables except those that `env` sets.
        let names = match shell {
            "bash" => "compgen -v",
            "zsh" => "print -rl -- ${(ok)parameters}",
            _ => "set --names",
        };
        let before = run(&sandbox, shell, &format!("true a; {names}")).succeeds();
        let script =
            format!("rds-env -q my-2; rds-ttl >/dev/null; rds-env --help >/dev/null; rds-env --unset; {names}");
        let after = integrated(&sandbox, shell, &script).succeeds();
        let known = ["COMP_WORDBREAKS", "PIPESTATUS", "BASH_LINENO", "pipestatus", "functions", "RDS_TOKEN_CONFIG"];
        let before: Vec<&str> = before.lines().chain(known).collect();
        let left: Vec<&str> = after.lines().filter(|name| !before.contains(name)).collect();
        assert_eq!(left, [""; 0], "{shell}");
    }
}

#[test]
fn init_runs_under_every_option() {
    for (shell, options) in [
        ("bash", "set -o noclobber -o noglob -o nounset; shopt -s failglob nocasematch extglob"),
        ("bash", "alias rds=false command=false; shopt -s expand_aliases"),
        ("zsh", "setopt ksh_arrays sh_word_split no_function_argzero null_glob"),
        ("zsh", "setopt no_bare_glob_qual extended_glob ksh_glob noglob rm_star_silent"),
        ("zsh", "setopt aliases; alias rds=false"),
    ] {
        if !can_run("init_runs_under_every_option", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let script = format!("{options}\neval \"$(rds-token init {shell})\"\nrds-ttl");
        let ends = ends_in(Duration::seconds(630));
        assert_eq!(
            integrated(&sandbox, shell, &script).env("RDS_TOKEN_EXPIRES_AT", ends).succeeds(),
            "10\n",
            "{options}"
        );
    }
}

#[test]
fn rds_env_changes_this_shell_or_nothing() {
    for shell in ["bash", "zsh", "fish"] {
        if !can_run("rds_env_changes_this_shell_or_nothing", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let loaded = integrated(&sandbox, shell, "rds-env prod\nenv -0").output();
        let loaded = environment(&loaded);
        assert_eq!(loaded.len(), 8, "{shell}: {loaded:?}");
        assert!(loaded.contains(&("PGUSER".to_owned(), "app".to_owned())), "{shell}: {loaded:?}");

        let both = integrated(&sandbox, shell, "rds-env prod\nrds-env --unset\nenv -0").output();
        assert_eq!(environment(&both), [], "{shell}");

        // On failure, `rds-env` returns the exit code of the program, and the loaded variables remain.
        let script = match shell {
            "fish" => "rds-env prod; rds-env nosuch; echo $status; env -0 | string split0 | string match 'PGUSER=*'",
            _ => "rds-env prod; rds-env nosuch || echo $?; env | grep ^PGUSER=",
        };
        let (stdout, stderr) = integrated(&sandbox, shell, script).warns();
        assert_eq!(stdout, "2\nPGUSER=app\n", "{shell}");
        assert!(stderr.starts_with("rds-token: target: no target is named 'nosuch'"), "{shell}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{shell}: {stderr}");

        // Help is printed, not evaluated.
        let help = integrated(&sandbox, shell, "rds-env --help").succeeds();
        assert!(help.contains("\n  [TARGET]\n") || help.contains("[TARGET]"), "{shell}: {help}");
        assert_eq!(help, sandbox.without_keys(["env", "--help"]).succeeds(), "{shell}");
    }
}

#[test]
fn rds_runs_a_command_logged_in() {
    for shell in ["bash", "zsh", "fish"] {
        if !can_run("rds_runs_a_command_logged_in", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let output = integrated(&sandbox, shell, "rds prod -- env -0").output();
        assert_eq!(environment(&output).len(), 8, "{shell}");
        // Arguments and status pass unchanged.
        let status = if shell == "fish" { "$status" } else { "$?" };
        let or = if shell == "fish" { "; or" } else { " ||" };
        let script = format!("rds prod -- sh -c 'printf \"<%s>\" \"$@\"; exit 7' sh 'a b' '' '*'{or} echo {status}");
        assert_eq!(integrated(&sandbox, shell, &script).warns().0, "<a b><><*>7\n", "{shell}");
    }
}

/// The line that `rds` prints if its client fails at once.
fn hint(target: &str) -> String {
    format!("rds-token: run 'rds-token doctor {target}' to find the cause\n")
}

#[test]
fn rds_names_the_doctor_if_its_client_fails_at_once() {
    for shell in ["bash", "zsh", "fish"] {
        if !can_run("rds_names_the_doctor_if_its_client_fails_at_once", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let or = if shell == "fish" { "; or" } else { " ||" };
        let stderr = |words: &str| integrated(&sandbox, shell, &format!("rds {words}{or} true")).warns().1;
        for (words, expected) in [
            ("prod -- sh -c 'exit 0'", String::new()),
            ("prod -- sh -c 'exit 1'", hint("prod")),
            ("app@prod/x -- sh -c 'exit 125'", hint("app@prod/x")),
            ("-v prod -- sh -c 'exit 1'", hint("TARGET")),
            ("prod -- sh -c 'exit 130'", String::new()),
            ("prod -- sh -c 'kill -PIPE $$'", String::new()),
        ] {
            // -v adds other lines.
            let printed: String =
                stderr(words).lines().filter(|l| l.contains("doctor")).map(|l| l.to_owned() + "\n").collect();
            assert_eq!(printed, expected, "{shell}: {words}");
        }
        // A target with other characters is not repeated.
        assert!(stderr("'$(x) y'").ends_with(&hint("TARGET")), "{shell}");
        assert!(!stderr("").contains("doctor"), "{shell}");
    }
}

#[test]
#[ignore = "needs eleven seconds"]
fn rds_prints_no_hint_after_a_long_session() {
    let sandbox = Sandbox::new();
    std::thread::scope(|scope| {
        for shell in ["bash", "zsh", "fish"]
            .into_iter()
            .filter(|shell| can_run("rds_prints_no_hint_after_a_long_session", shell))
        {
            let or = if shell == "fish" { "; or" } else { " ||" };
            let script = format!("rds prod -- sh -c 'sleep 11; exit 1'{or} echo failed");
            let run = integrated(&sandbox, shell, &script);
            scope.spawn(move || assert_eq!(run.succeeds(), "failed\n", "{shell}"));
        }
    });
}

/// Returns the time `left` from now, in the format of RDS_TOKEN_EXPIRES_AT.
fn ends_in(left: Duration) -> String {
    (OffsetDateTime::now_utc() + left).replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap()
}

#[test]
fn rds_ttl_prints_whole_minutes() {
    let now = OffsetDateTime::now_utc();
    let minutes =
        |at: &str| ((OffsetDateTime::parse(at, &Rfc3339).unwrap() - now) - Duration::seconds(20)).whole_minutes();
    for shell in ["bash", "zsh", "fish"] {
        if !can_run("rds_ttl_prints_whole_minutes", shell) {
            continue;
        }
        let sandbox = Sandbox::new();
        let ttl = |at: &str| integrated(&sandbox, shell, "rds-ttl").env("RDS_TOKEN_EXPIRES_AT", at).succeeds();
        assert_eq!(integrated(&sandbox, shell, "rds-ttl").succeeds(), "", "{shell}");
        for (seconds, said) in [(870, "14\n"), (630, "10\n"), (90, "1\n"), (45, "0\n"), (-1, ""), (-100_000, "")] {
            assert_eq!(ttl(&ends_in(Duration::seconds(seconds))), said, "{shell}: {seconds}");
        }
        for wrong in ["", "soon", "2096-02-29", "2096-02-29T00:00:00Z$(echo x)", "a[$(echo x >&2)]-02-29T00:00:00Z"] {
            assert_eq!(ttl(wrong), "", "{shell}: {wrong}");
        }
        // Leap years.
        for at in [
            "2096-02-29T00:00:30Z",
            "2096-03-01T08:09:30Z",
            "2100-02-28T23:59:30Z",
            "2100-03-01T00:00:30Z",
            "2099-12-31T10:08:30Z",
            "2100-01-01T09:18:30Z",
        ] {
            let said: i64 = ttl(at).trim().parse().unwrap();
            assert!((minutes(at) - 1..=minutes(at) + 1).contains(&said), "{shell}: {at}: {said}, not {}", minutes(at));
        }
    }
}

#[test]
fn completions_and_the_manual_are_well_formed() {
    let sandbox = Sandbox::new();
    for (shell, check) in [("bash", "bash -n"), ("zsh", "zsh -n"), ("fish", "fish -n")] {
        if !can_run("completions_and_the_manual_are_well_formed", shell) {
            continue;
        }
        let file = sandbox.write("completions", &sandbox.without_keys(["completions", shell]).succeeds());
        let (program, flag) = check.split_once(' ').unwrap();
        let output = sandbox.command(program).arg(flag).arg(&file).output().unwrap();
        assert_eq!((output.status.success(), texts(&output)), (true, Default::default()), "{shell}");
    }
    let page = sandbox.without_keys(["man"]).succeeds();
    for command in [
        "token",
        "cnf",
        "pgpass",
        "env",
        "connect",
        "doctor",
        "ca",
        "targets",
        "init",
        "completions",
        "man",
        "cache clear",
    ] {
        assert!(page.contains(&format!("\n.SS \"rds\\-token {command}")), "{command}");
    }
    assert!(page.starts_with(".TH RDS\\-TOKEN 1 ") && page.contains("\\-\\-no\\-secret"), "{page}");
    for section in ["CONFIGURATION FILE", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "{section}");
    }
    let file = sandbox.write("rds-token.1", &page);
    for (program, flags) in [("groff", &["-man", "-ww", "-z"][..]), ("mandoc", &["-T", "lint", "-W", "error"])] {
        if has(program) {
            let output = sandbox.command(program).args(flags).arg(&file).output().unwrap();
            assert_eq!((output.status.success(), texts(&output)), (true, Default::default()), "{program}");
        }
    }
}

/// The manual page lists each variable that the program reads or sets.
#[test]
fn the_manual_lists_every_variable() {
    fn names(directory: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                let is_name = |word: &&str| {
                    let prefixes = ["RDS_TOKEN_", "AWS_", "MYSQL_", "MARIADB_", "PG"];
                    let is_variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                    prefixes.iter().any(|prefix| word.starts_with(prefix)) && word.chars().all(is_variable)
                };
                found.extend(text.split('"').filter(is_name).map(str::to_owned));
            }
        }
    }
    let mut found = Vec::new();
    names(std::path::Path::new("src"), &mut found);
    assert!(found.len() > 50, "{found:?}");
    let page = Sandbox::new().without_keys(["man"]).succeeds();
    let words: Vec<&str> = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    // Variables between the scripts in shell/ and the program, and variables of the tests.
    // `sql --apply` sets libpq's only for psql.
    let internal = ["RDS_TOKEN_COMPLETE", "PG", "PGCONNECT_TIMEOUT", "PGOPTIONS"];
    let missing: Vec<String> = found
        .into_iter()
        .filter(|name| !words.contains(&name.as_str()) && !internal.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
}
