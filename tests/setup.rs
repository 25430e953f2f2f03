//! `rds-token setup`: by flags and on a terminal, with moto, and with the servers of the lab.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::harness::{KEYS, Run, Sandbox, Server, can_mount, is_root, on_terminal, skip, texts};
use crate::moto::{LabDatabase, Moto, moto};
use crate::servers::lab;

/// Prepares `setup` without prompts and without the check of the login.
fn by_flags(moto: &Moto, sandbox: &Sandbox, region: &str, args: &[&str]) -> Run {
    let args = [&["setup", "--yes", "--no-doctor", "--region", region], args].concat();
    moto.rds_token(sandbox, args)
}

fn config(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("home/.config/rds-token/config.toml")
}

fn read(sandbox: &Sandbox) -> String {
    fs::read_to_string(config(sandbox)).unwrap()
}

#[test]
#[ignore = "needs moto"]
fn flags_replace_the_dialog() {
    let Some(moto) = moto("flags_replace_the_dialog") else { return };
    let region = "ap-south-1";
    moto.seed_databases(region);
    let sandbox = Sandbox::new();
    for (id, extra, table, resource, sql) in [
        ("orders", &[][..], "[target.orders]\nid = \"instance:orders\"\n", "dbuser:db-", "GRANT rds_iam TO \"app\";"),
        ("orders", &["--name=reader", "--read-only"], "[target.reader]\n", "dbuser:db-", "GRANT SELECT ON ALL TABLES"),
        (
            "cluster:main",
            &["-D", "x", "--via", "localhost:1"],
            "[target.main]\n",
            "dbuser:cluster-",
            "ON `x`.* TO `app`",
        ),
        (
            "proxy:pool",
            &["-D", "x"],
            "[target.pool]\n",
            "dbuser:prx-",
            "Create the user:    in the database behind the proxy",
        ),
    ] {
        let args = [&["--id", id, "--user", "app"], extra].concat();
        let output = by_flags(moto, &sandbox, region, &args).output();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{stderr}");
        assert!(stdout.contains(resource) && stdout.contains(sql), "{stdout}");
        assert!(read(&sandbox).contains(table), "{}", read(&sandbox));
        assert!(
            stdout
                .ends_with(&format!("Log in:             rds-token connect {}\n", &table[8..table.find(']').unwrap()]))
        );
        let keeps_read_only = stdout.contains("rds-token sql reader --read-only --apply");
        assert_eq!(keeps_read_only, extra.contains(&"--read-only"), "{stdout}");
        assert_eq!(stderr.contains("IAM authentication is off for the cluster main"), id == "cluster:main", "{stderr}");
    }
    assert!(
        read(&sandbox).contains("\nuser = \"app\"\ndatabase = \"x\"\nvia = \"localhost:1\"\n"),
        "{}",
        read(&sandbox)
    );
    let targets = sandbox.without_keys(["targets"]).succeeds();
    assert_eq!(targets.lines().count(), 4, "{targets}");
    let policy = moto.rds_token(&sandbox, ["policy", "orders"]).succeeds();
    assert!(policy.contains("dbuser:db-"), "{policy}");
}

#[test]
#[ignore = "needs moto"]
fn the_identity_is_part_of_the_target() {
    let Some(moto) = moto("the_identity_is_part_of_the_target") else { return };
    let region = "ap-south-2";
    moto.seed_databases(region);
    let sandbox = Sandbox::new();
    let [(_, id), (_, secret)] = KEYS;
    sandbox.write(".aws/config", &format!("[profile lab]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"));
    let role = "arn:aws:iam::123456789012:role/app";
    let args = ["--id", "orders", "--user", "app", "--profile", "lab", "--role-arn", role];
    by_flags(moto, &sandbox, region, &args).succeeds();
    assert!(read(&sandbox).ends_with(&format!("profile = \"lab\"\nrole_arn = \"{role}\"\n")), "{}", read(&sandbox));
}

#[test]
#[ignore = "needs moto"]
fn invalid_values_are_refused_before_anything_is_printed() {
    let Some(moto) = moto("invalid_values_are_refused_before_anything_is_printed") else { return };
    let region = "ap-northeast-1";
    moto.seed_databases(region);
    let sandbox = Sandbox::new();
    let path = sandbox.write(".config/rds-token/config.toml", "[target.taken]\nid = 'x'\n");
    for (args, code, expected) in [
        (&["--id", "orders"][..], 2, "setup: could not prompt for missing values: --yes turns prompts off; add --user"),
        (&["--user", "app"], 2, "add --id"),
        (&[], 2, "add --id, --user"),
        (&["--id", "order", "--user", "app"], 2, "did you mean 'orders'?"),
        (&["--id", "old", "--user", "app"], 2, "setup: the instance old is oracle-se2, which does not support IAM"),
        (&["--id", "or ders", "--user", "app"], 2, "is not an identifier"),
        (&["--id", "orders", "--user", "app", "--name", "taken"], 2, "already has [target.taken]; use --name with"),
        (&["--id", "orders", "--user", "app", "--name", "a b"], 2, "'a b' is not a name of letters, digits"),
        (&["--id", "orders", "--user", "boss"], 2, "'boss' is the master user"),
        (&["--id", "orders", "--user", ""], 2, "user '' is empty"),
        (&["--id", "orders", "--user", "app", "--via", "x:y:z"], 2, "via"),
        (&["--id", "pool", "--user", "app", "--apply"], 2, "setup: pool is a proxy, and --apply would change the user"),
        (&["--id", "orders", "--user", "app", "--password-fd", "0"], 2, "--apply"),
    ] {
        let line = by_flags(moto, &sandbox, region, args).fails(code);
        assert!(line.contains(expected), "{args:?}: {line}");
    }
    let args = ["--id", "orders", "--user", "app", "--apply"];
    let line = without_terminal(by_flags(moto, &sandbox, region, &args)).fails(2);
    assert!(
        line.contains("could not prompt for the password of the master user 'boss': no terminal; use --password-fd 0"),
        "{line}"
    );
    let line = without_terminal(moto.rds_token(&sandbox, ["setup"]).without("AWS_REGION")).fails(2);
    assert!(line.contains("could not prompt for missing values: no terminal; add --id, --user, --region"), "{line}");
    assert_eq!(fs::read_to_string(path).unwrap(), "[target.taken]\nid = 'x'\n");
}

/// Variables for other commands neither select the database nor fail the run.
#[test]
#[ignore = "needs moto"]
fn variables_of_a_target_are_defaults_at_most() {
    let Some(moto) = moto("variables_of_a_target_are_defaults_at_most") else { return };
    let region = "sa-east-1";
    moto.seed_databases(region);
    let sandbox = Sandbox::new();
    let run = by_flags(moto, &sandbox, region, &["--id", "orders"]).env("RDS_TOKEN_USER", "jane");
    let run = run.env("RDS_TOKEN_HOST", "db.example.com").env("RDS_TOKEN_PORT", "1").env("RDS_TOKEN_ENGINE", "mysql");
    let stdout = run.env("RDS_TOKEN_DATABASE", "other").succeeds();
    assert!(stdout.contains("GRANT rds_iam TO \"jane\";") && stdout.contains("DATABASE \"shop\""), "{stdout}");
    let expected =
        "[target.orders]\nid = \"instance:orders\"\nregion = \"sa-east-1\"\nuser = \"jane\"\ndatabase = \"shop\"\n";
    assert_eq!(read(&sandbox), expected);
}

/// Runs a command in a session without a terminal.
fn without_terminal(run: Run) -> Run {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(run.command.get_program()).args(run.command.get_args()).env_clear();
    command.envs(run.command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    Run { command }
}

/// Everything that the file contained before stays as it is, byte for byte.
#[test]
#[ignore = "needs moto"]
fn the_table_is_added_to_any_file() {
    let Some(moto) = moto("the_table_is_added_to_any_file") else { return };
    let region = "ap-northeast-2";
    moto.seed_databases(region);
    let table = "[target.new]\nid = \"instance:orders\"\n";
    for (before, expected) in [
        ("", table.to_owned()),
        ("# my file\n", format!("\n{table}")),
        ("[defaults]\nregion = 'eu-west-1' # no line break at the end", format!("\n\n{table}")),
        ("[target.a]\r\nid = 'x' # CRLF\r\n", format!("\n{table}").replace('\n', "\r\n")),
        ("target.a.id = 'x'\n", format!("\n{table}")),
    ] {
        for mode in [0o600, 0o640, 0o444] {
            let sandbox = Sandbox::new();
            let dotfile = sandbox.write("dotfiles/rds.toml", before);
            fs::set_permissions(&dotfile, fs::Permissions::from_mode(mode)).unwrap();
            fs::create_dir_all(config(&sandbox).parent().unwrap()).unwrap();
            symlink(&dotfile, config(&sandbox)).unwrap();
            by_flags(moto, &sandbox, region, &["--id", "orders", "--user", "app", "--name", "new"]).succeeds();
            let after = fs::read_to_string(&dotfile).unwrap();
            assert_eq!(after.strip_prefix(before).unwrap().get(..expected.len()), Some(expected.as_str()), "{after:?}");
            assert_eq!(fs::metadata(&dotfile).unwrap().permissions().mode() & 0o777, mode);
            assert!(config(&sandbox).is_symlink());
            assert_eq!(fs::read_dir(dotfile.parent().unwrap()).unwrap().count(), 1, "a file was left");
            assert!(moto.rds_token(&sandbox, ["targets"]).succeeds().contains("new"));
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn a_file_that_cannot_be_changed_stays() {
    let Some(moto) = moto("a_file_that_cannot_be_changed_stays") else { return };
    let region = "ap-northeast-3";
    moto.seed_databases(region);
    for (text, expected) in [
        ("[target.a\n", "config.toml:1"),
        ("[target.a]\npasword = 'x'\n", "unknown key 'pasword'"),
        ("target = { a = { id = 'x' } }\n", "can't be extended: its targets are not"),
    ] {
        let sandbox = Sandbox::new();
        let path = sandbox.write(".config/rds-token/config.toml", text);
        let output = by_flags(moto, &sandbox, region, &["--id", "orders", "--user", "app"]).output();
        let (_, stderr) = texts(&output);
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{stderr}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    let sandbox = Sandbox::new();
    let run = || by_flags(moto, &sandbox, region, &["--id", "orders", "--user", "app"]);
    let line = run().env("RDS_TOKEN_CONFIG", "c.toml").fails(2);
    assert!(line.contains("'c.toml', which is not absolute"), "{line}");
    symlink("/nowhere/c.toml", sandbox.path("link")).unwrap();
    let (_, stderr) = texts(&run().env("RDS_TOKEN_CONFIG", sandbox.path("link")).output());
    assert!(stderr.contains("the path is a link to a file that does not exist"), "{stderr}");
    // A new file in a new directory, which other programs of the user may not have created.
    let path = sandbox.path("a/b/c.toml");
    run().env("RDS_TOKEN_CONFIG", &path).succeeds();
    assert!(fs::read_to_string(&path).unwrap().starts_with("[target.orders]\n"));
}

#[test]
#[ignore = "needs moto and root"]
fn an_error_while_writing_leaves_the_file_unchanged() {
    let Some(moto) = moto("an_error_while_writing_leaves_the_file_unchanged") else { return };
    if !is_root() || !can_mount() {
        return skip("an_error_while_writing_leaves_the_file_unchanged", "it needs root, and mounts");
    }
    let region = "ap-southeast-1";
    moto.seed_databases(region);
    for (mount, expected) in [
        ("mount -t tmpfs -o ro,mode=700 none $C", "Read-only file system"),
        ("mount -t tmpfs -o size=4k,mode=700 none $C; echo '# mine' > $C/config.toml", "No space left on device"),
    ] {
        let sandbox = Sandbox::new();
        let directory = config(&sandbox).parent().unwrap().to_owned();
        fs::create_dir_all(&directory).unwrap();
        let run = by_flags(moto, &sandbox, region, &["--id", "orders", "--user", "app"]);
        let script = format!("{mount}; \"$@\"; code=$?; ls -A $C >&2; cat $C/* >&2; exit $code");
        let mut shell = sandbox.command("unshare");
        shell.args(["--mount", "sh", "-c", &script, "sh"]).arg(run.command.get_program()).args(run.command.get_args());
        shell.envs(run.command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("C", &directory);
        let output = shell.output().unwrap();
        let (_, stderr) = texts(&output);
        assert!(output.status.code() == Some(1) && stderr.contains(expected), "{stderr}");
        assert!(stderr.contains("could not write") && !stderr.contains("target.orders"), "{stderr}");
        assert!(!stderr.contains(".rds-token-"), "{stderr}");
    }
}

#[test]
#[ignore = "needs moto"]
fn runs_at_the_same_time_add_every_target() {
    let Some(moto) = moto("runs_at_the_same_time_add_every_target") else { return };
    let region = "ap-southeast-2";
    moto.seed_databases(region);
    let sandbox = Sandbox::new();
    // Two runs have each name. One of them fails.
    let names: Vec<String> = (0..16).map(|index| format!("t{}", index / 2)).collect();
    let runs: Vec<_> = names
        .iter()
        .map(|name| by_flags(moto, &sandbox, region, &["--id", "orders", "--user", "a", "--name", name]))
        .collect();
    let children: Vec<_> = runs
        .into_iter()
        .map(|mut run| run.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert_eq!(outputs.iter().filter(|output| output.status.success()).count(), 8);
    for output in outputs.iter().filter(|output| !output.status.success()) {
        assert!(texts(output).1.contains("already has [target.t"), "{output:?}");
    }
    assert_eq!(sandbox.without_keys(["targets"]).succeeds().lines().count(), 8);
}

/// Runs `setup` on a terminal. Returns its output, what the terminal showed, and the exit code.
fn dialog(sandbox: &Sandbox, run: &Run, answers: &[(&str, &str)]) -> (String, String, i32) {
    let (mut terminal, transcript) = on_terminal(sandbox, &run.command, answers);
    let output = terminal.output().unwrap();
    let (stdout, stderr) = texts(&output);
    let shown = fs::read_to_string(transcript).unwrap().replace("\r\n", "\n");
    (stdout + &stderr, shown, output.status.code().unwrap())
}

/// Answers for the database 1, the user, the grants, the name, and the SQL.
const DEFAULTS: [(&str, &str); 5] =
    [("Number of the", "1"), ("Database user [", ""), ("Database that", ""), ("Name [", ""), ("Run this SQL", "")];

#[test]
#[ignore = "needs moto"]
fn a_dialog_leads_from_the_region_to_the_target() {
    let Some(moto) = moto("a_dialog_leads_from_the_region_to_the_target") else { return };
    moto.seed_databases("eu-central-1");
    let sandbox = Sandbox::new();
    sandbox.write(".config/rds-token/config.toml", "[target.orders]\nid = 'x'\n");
    let run = moto.rds_token(&sandbox, ["setup"]).without("AWS_REGION");
    let answers = [
        ("AWS region", "Europe"),
        ("AWS region", "eu-south-1"),
        ("Another region", "1"),
        ("Another region", "eu-central-1"),
        ("Number of the", "4"),
        ("Number of the", "1"),
        ("Database user [app]", "boss"),
        ("Database user [app]", ""),
        ("Database that", ""),
        ("Name [orders-app]", "orders"),
        ("Name [orders-app]", ""),
        ("Run this SQL", "maybe"),
        ("Run this SQL", ""),
        ("Check the login", "no"),
    ];
    let (output, shown, code) = dialog(&sandbox, &run, &answers);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("dbuser:db-") && output.contains("GRANT rds_iam TO \"app\";"), "{output}");
    assert!(output.contains("Create the user:    rds-token sql orders-app --apply\n"), "{output}");
    for expected in [
        "Enter a region, such as eu-west-1.",
        "No database in eu-south-1 supports IAM authentication.",
        "Databases in eu-central-1:\n  1  orders  instance  postgres, available, IAM authentication on\n  2  main    cluster   \
         aurora-mysql, available, IAM authentication off\n  3  pool    proxy     mysql, available, IAM authentication on\n",
        "Enter a number from 1 to 3, or a region such as eu-west-1.",
        "'boss' is the master user",
        "or - for none [shop]: ",
        "already has [target.orders]. Enter another name.",
        "Run this SQL now, as the master user 'boss'? (yes or no) [no]: ",
        "Enter yes or no.",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert_eq!(
        read(&sandbox),
        "[target.orders]\nid = 'x'\n\n[target.orders-app]\nid = \"instance:orders\"\nregion = \"eu-central-1\"\nuser = \
         \"app\"\ndatabase = \"shop\"\n"
    );
}

#[test]
#[ignore = "needs moto"]
fn nothing_is_written_if_the_dialog_is_left() {
    let Some(moto) = moto("nothing_is_written_if_the_dialog_is_left") else { return };
    moto.seed_databases("eu-central-2");
    // A signal terminates the program: terminal.py exits with 256 - its number. The program may see the closed terminal
    // before the signal.
    for (key, codes) in [("^C", &[254][..]), ("hangup", &[255, 1]), ("^D", &[1])] {
        for count in 0..DEFAULTS.len() {
            let sandbox = Sandbox::new();
            let run = moto.rds_token(&sandbox, ["setup", "--region", "eu-central-2"]);
            let mut answers = DEFAULTS[..=count].to_vec();
            answers[count].1 = key;
            let (output, shown, exit) = dialog(&sandbox, &run, &answers);
            assert!(codes.contains(&exit), "{key} at {}: {output}{shown}", answers[count].0);
            assert!(!config(&sandbox).exists() && !output.contains("Added"), "{output}");
            assert_eq!(output.contains("the terminal: the terminal was closed"), key == "^D", "{output}");
        }
    }
}

#[test]
#[ignore = "needs moto"]
fn the_time_at_a_prompt_does_not_count() {
    let Some(moto) = moto("the_time_at_a_prompt_does_not_count") else { return };
    moto.seed_databases("eu-north-1");
    let sandbox = Sandbox::new();
    let args =
        ["setup", "--region", "eu-south-2", "--timeout", "6s", "-u", "app", "-D", "x", "--name", "n", "--no-doctor"];
    let run = moto.rds_token(&sandbox, args).env("ANSWER_AFTER", "4");
    let answers = [("Another region", "eu-north-1"), ("Number of the", "1"), ("Run this SQL", "no")];
    let (output, shown, code) = dialog(&sandbox, &run, &answers);
    assert_eq!(code, 0, "{output}{shown}");
}

/// The caller may not list proxies, or nothing at all.
#[test]
#[ignore = "needs a terminal (python3)"]
fn a_kind_that_must_not_be_listed_is_named() {
    let denied = |body: &str| {
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default().to_owned();
        let error = format!("<Code>AccessDenied</Code><Message>not authorized to perform: rds:{action}</Message>");
        (403, format!("<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"))
    };
    let server = Server::start(move |_, body| {
        let instance = "<DBInstance><DBInstanceIdentifier>db</DBInstanceIdentifier><DbiResourceId>db-ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                        </DbiResourceId><Engine>mysql</Engine><DBInstanceStatus>available</DBInstanceStatus></DBInstance>";
        match body.contains("DescribeDBInstances") {
            true => (
                200,
                format!(
                    "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>{instance}</DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
                ),
            ),
            false => denied(body),
        }
    });
    let sandbox = Sandbox::new();
    let run = |url: &str| sandbox.rds_token(["setup", "--region", "eu-west-1"]).env("AWS_ENDPOINT_URL", url);
    let (output, shown, code) = dialog(&sandbox, &run(&server.url), &[("Number of the", "^D")]);
    assert_eq!(code, 1, "{output}");
    for kind in ["cluster", "proxy"] {
        let expected =
            format!("The list contains no {kind}, because your AWS policies do not allow the call that lists them.");
        assert!(shown.contains("  1  db  instance") && shown.contains(&expected), "{shown}");
    }
    let refusing = Server::start(move |_, body| denied(body));
    let (output, _, code) = dialog(&sandbox, &run(&refusing.url), &[]);
    assert!(code == 3 && output.contains("not authorized to perform: rds:Describe"), "{code}: {output}");
}

#[test]
#[ignore = "needs moto and database servers"]
fn a_new_user_logs_in() {
    let (Some(lab), Some(moto)) = (lab("a_new_user_logs_in"), moto("a_new_user_logs_in")) else { return };
    if !can_mount() {
        return skip("a_new_user_logs_in", "no mounts in a namespace");
    }
    for engine in ["mysql", "mariadb", "postgres"] {
        for (user, has_secret) in [("setup1", false), ("setup2", true)] {
            let database = LabDatabase { moto, lab: &lab, engine };
            database.seed(has_secret);
            let sandbox = Sandbox::new();
            let prepare = |args: &[&str]| Run { command: database.in_namespace(&sandbox, args) };
            let answers =
                [("Run this SQL", "yes"), ("Password of", lab.master_password.as_str()), ("Check the login", "")];
            let answers: Vec<_> =
                answers.into_iter().filter(|(prompt, _)| !has_secret || *prompt != "Password of").collect();
            let setup = prepare(&["setup", "--id", "db", "-u", user, "-D", &lab.database, "--name", "lab"]);
            let (output, shown, code) = dialog(&sandbox, &setup, &answers);
            assert!(code == 0 && output.contains("the login works"), "{engine}: {output}{shown}");
            assert!(!(output + &shown).contains(&lab.master_password), "{engine}: {shown}");
            let query: &[&str] = if engine == "postgres" { &["--", "-Atc"] } else { &["--", "-Ne"] };
            let args = [&["connect", "lab"], query, &["SELECT text FROM greeting"]].concat();
            assert_eq!(prepare(&args).succeeds(), format!("hello from {engine}\n"));
        }
    }
}

#[test]
#[ignore = "needs moto and database servers"]
fn flags_apply_the_sql_and_check_the_login() {
    let test = "flags_apply_the_sql_and_check_the_login";
    let (Some(lab), Some(moto)) = (lab(test), moto(test)) else { return };
    if !can_mount() {
        return skip(test, "no mounts in a namespace");
    }
    for engine in ["mysql", "mariadb", "postgres"] {
        let database = LabDatabase { moto, lab: &lab, engine };
        for has_secret in [true, false] {
            database.seed(has_secret);
            let sandbox = Sandbox::new();
            let fd: &[&str] = if has_secret { &[] } else { &["--password-fd", "0"] };
            let args = [&["setup", "--id", "db", "-u", "flags", "-D", &lab.database, "--yes", "--apply"], fd].concat();
            let mut command = database.in_namespace(&sandbox, &args);
            let password = sandbox.write("password", &lab.master_password);
            command.stdin(fs::File::open(password).unwrap());
            let (stdout, stderr) = Run { command }.warns();
            assert!(stdout.contains("Added [target.db]") && stdout.contains("the login works"), "{stdout}{stderr}");
        }
    }
    // The SQL fails: no target is added.
    let sandbox = Sandbox::new();
    let database = LabDatabase { moto, lab: &lab, engine: "mysql" };
    database.seed(false);
    let args = ["setup", "--id", "db", "-u", "flags", "-D", &lab.database, "--yes", "--apply", "--password-fd", "0"];
    let mut command = database.in_namespace(&sandbox, &args);
    command.stdin(fs::File::open(sandbox.write("password", "wrong")).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.code() == Some(1) && texts(&output).1.contains("check the password"), "{output:?}");
    assert!(!config(&sandbox).exists());
}

/// While it has the password, the program handles signals itself.
#[test]
#[ignore = "needs moto and database servers"]
fn signals_terminate_it_after_the_sql() {
    let test = "signals_terminate_it_after_the_sql";
    let (Some(lab), Some(moto)) = (lab(test), moto(test)) else { return };
    if !can_mount() {
        return skip(test, "no mounts in a namespace");
    }
    let database = LabDatabase { moto, lab: &lab, engine: "mysql" };
    database.seed(false);
    let at_password = [("Run this SQL", "yes"), ("Password of", "^C")];
    let at_check = [("Run this SQL", "yes"), ("Password of", lab.master_password.as_str()), ("Check the login", "^C")];
    for (answers, is_added) in [(&at_password[..], false), (&at_check, true)] {
        let sandbox = Sandbox::new();
        let args = ["setup", "--id", "db", "-u", "left", "-D", &lab.database, "--name", "lab"];
        let (output, shown, code) = dialog(&sandbox, &Run { command: database.in_namespace(&sandbox, &args) }, answers);
        assert_eq!((code, config(&sandbox).exists()), (130, is_added), "{output}{shown}");
    }
}
