//! Shell completion, in real shells and as the scripts request it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Command, Output};

use crate::harness::{Run, Sandbox, texts};
use crate::shells::{can_run, integrated, run};

/// The answers to completion requests, as the scripts of all shells make them.
#[test]
fn completion_requests_are_answered() {
    let sandbox = Sandbox::new();
    let config = "[target.a]\nvia = 'localhost:15432'\n[target.b]\nvia = 'bastion:1'\n[target.env]\nuser = 'u'\n";
    sandbox.write(".config/rds-token/config.toml", config);
    sandbox.write(".aws/config", "[profile zebra]\nregion = x\n[sso-session s]\n");
    sandbox.write(".aws/credentials", "[yak]\naws_access_key_id = x\n[a\u{7}b]\n");
    // The word to complete is the last one.
    let answer = |words: &[&str]| {
        let answer = sandbox.without_keys(words).env("RDS_TOKEN_COMPLETE", words.len().to_string()).succeeds();
        let lines = answer.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        lines.collect::<Vec<String>>().join(" ")
    };
    for (words, expected) in [
        (&["env", "--engine", "ma"][..], "values mariadb"),
        (&["env", "--engine=ma"], "values --engine=mariadb"),
        (&["env", "--profile", ""], "values yak zebra"),
        (&["env", "--via", ""], "values bastion:1 localhost:15432"),
        (&["env", "e"], "values env"),
        (&["env", ""], "values a b env"),
        (&["completions", "p"], "values powershell"),
        (&["env", "--shell", "git"], "values github gitlab"),
        (&["connect", "--client-flavor", "l"], "values library"),
        (&["a", ""], "values"),
        (&["--host", ""], "values"),
        (&["env", "--ca", ""], "files"),
        (&["connect", "--client", ""], "command 3"),
        (&["connect", "a", ""], "command 3"),
        (&["connect", "a", "--"], "values --host --hostname --port --user --username"),
        (&["connect", "a", "--", ""], "command 4"),
        (&["connect", "--", "x", "y"], "command 3"),
        (&["-q", "run", "-h", "x", "-P", "1", "a", "x", "y"], "command 8"),
        (&["token", "--ref"], "values --refresh"),
        (&["nosuch", "nosuch", "--nosuch", ""], "values"),
    ] {
        let answer = answer(words);
        match words == ["connect", "a", "--"] {
            true => assert!(answer.starts_with("values --host --port --user "), "{answer}"),
            false => assert_eq!(answer, expected, "{words:?}"),
        }
    }
    // All commands and targets, each once.
    let all = answer(&[""]);
    let names: Vec<&str> = all.split(' ').collect();
    assert!(["connect", "env", "a", "b"].iter().all(|name| names.iter().filter(|n| *n == name).count() == 1), "{all}");
    // PowerShell before 7.3 drops an empty argument.
    let request = |index: &str, words: &[&str]| sandbox.without_keys(words).env("RDS_TOKEN_COMPLETE", index).succeeds();
    assert_eq!(request("2", &["env"]), "values\na\nb\nenv\n");
    // Not a request: the words do not end at the index.
    for index in ["x", "", "-1", "0", "3", "99", "18446744073709551615"] {
        assert!(request(index, &["--version"]).starts_with("rds-token "), "{index}");
    }

    // No message appears in the line that the user is typing.
    sandbox.write(".config/rds-token/config.toml", "[target.a\n");
    sandbox.write(".aws/config", "[profile\n\0");
    for words in [&["env", ""], &["--profile", ""], &["--via", ""]] {
        assert!(answer(words).starts_with("values"), "{words:?}");
    }
    assert!(answer(&["con"]).starts_with("values connect"));
}

/// Lines to complete, with candidates that must be offered and candidates that must not.
const COMPLETIONS: [(&str, &[&str], &[&str]); 26] = [
    ("rds-token ", &["connect", "env", "prod", "my-2"], &["--host", "-P"]),
    ("rds-token e", &["env", "exec"], &["prod"]),
    ("rds-token -v con", &["connect"], &["prod"]),
    ("rds-token prod ", &[], &["prod", "connect", "home"]),
    ("rds-token prod --no-n", &["--no-newline"], &[]),
    ("rds-token -", &["--host", "--verbose"], &["prod"]),
    ("rds-token env ", &["prod", "my-2"], &["connect"]),
    ("rds-token env --shell f", &["fish"], &["prod"]),
    ("rds-token env --shell ", &["sh", "github"], &["prod", "home"]),
    ("rds-token --output j", &["json"], &["text"]),
    ("rds-token --cache k", &["keyring"], &["file"]),
    ("rds-token --engine m", &["mysql", "mariadb"], &["postgres", "my-2"]),
    ("rds-token env --profile z", &["zebra"], &["yak"]),
    ("rds-token env --profile ", &["zebra", "yak"], &["home", "s"]),
    ("rds-token env --via ba", &["bastion:1"], &[]),
    ("rds-token env --host ", &[], &["prod", "home"]),
    ("rds-token cache clear p", &["prod"], &["my-2"]),
    ("rds-token help c", &["connect", "cache"], &["prod"]),
    ("rds m", &["my-2"], &["prod"]),
    ("rds prod --cl", &["--client"], &["--unset"]),
    ("rds prod printen", &["printenv"], &["prod"]),
    ("rds prod -- printen", &["printenv"], &["prod"]),
    ("rds-token exec -h HOST -P 1 -u u prod printen", &["printenv"], &["prod"]),
    ("rds-token connect prod --client printen", &["printenv"], &["prod"]),
    ("rds-env p", &["prod"], &["my-2"]),
    ("rds-env --un", &["--unset"], &["--client"]),
];

/// As [`integrated`], with AWS profiles and a target with a tunnel.
fn completing(sandbox: &Sandbox, shell: &str, script: &str) -> Run {
    sandbox.write(".aws/config", "[profile zebra]\nregion = x\n[sso-session s]\n");
    sandbox.write(".aws/credentials", "[yak]\naws_access_key_id = x\n");
    let run = integrated(sandbox, shell, script);
    let file = sandbox.path("home/.config/rds-token/config.toml");
    let config = std::fs::read_to_string(&file).unwrap() + "[target.tunnel]\nvia = 'bastion:1'\n";
    std::fs::write(&file, config).unwrap();
    run
}

/// Returns a script that completes `line` in bash, with the variables that bash sets.
fn bash_script(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let quoted: String = words.iter().map(|word| format!(" '{word}'")).collect();
    let last = words.len() - 1;
    format!(
        "COMP_WORDS=({quoted} ); COMP_CWORD={last}; COMP_LINE='{line}'; COMP_POINT={}\n\
         _rds_token_complete {} '{}' {}\nprintf '%s\\n' ${{COMPREPLY[@]+\"${{COMPREPLY[@]}}\"}}",
        line.len(),
        words[0],
        words[last],
        words[last - 1]
    )
}

#[test]
fn bash_completes() {
    if !can_run("bash_completes", "bash") {
        return;
    }
    let sandbox = Sandbox::new();
    let complete = |line: &str| completing(&sandbox, "bash", &bash_script(line)).succeeds();
    for (line, offered, others) in COMPLETIONS {
        check(line, &complete(line), offered, others);
    }
    // The arguments of a program are file names.
    check("rds prod -- env ", &complete("rds prod -- env "), &["home"], &["prod", "env"]);
    check("rds prod env ", &complete("rds prod env "), &["home"], &["prod", "env"]);
    check("rds-token env --ca ho", &complete("rds-token env --ca ho"), &["home"], &[]);
    // bash inserts a candidate as it is, so its special characters are quoted.
    let profile = "[profile \"x $(id) y\"]\nregion = z\n";
    let script = bash_script("rds-token env --profile x");
    let run = completing(&sandbox, "bash", &script);
    sandbox.write(".aws/config", profile);
    assert_eq!(run.succeeds(), "x\\ \\$\\(id\\)\\ y\n");
    let registered = integrated(&sandbox, "bash", "complete -p rds-token rds rds-env").succeeds();
    assert_eq!(registered.matches(" -F _rds_token_complete ").count(), 3, "{registered}");
}

/// bash splits the words of a line at characters such as `:`, and replaces only the part after the last split.
#[test]
fn bash_completes_as_typed() {
    let test = "bash_completes_as_typed";
    if !can_run(test, "bash") || !can_run(test, "zsh") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("directory/file.pem", "");
    let lines = [
        ("rds-token pro", "rds-token prod "),
        ("rds-token env --engine=mar", "rds-token env --engine=mariadb "),
        ("rds-token env --via bastion:", "rds-token env --via bastion:1 "),
        ("rds-token env mysql://app@db.x:3306/x --no-s", "rds-token env mysql://app@db.x:3306/x --no-secret "),
        ("rds mysql://app@db.x:3306/x printen", "rds mysql://app@db.x:3306/x printenv "),
        ("rds mysql://app@db.x:3306/x -- ls ~/direc", "rds mysql://app@db.x:3306/x -- ls ~/directory/"),
        ("rds-env --ca=~/directory/f", "rds-env --ca=~/directory/file.pem "),
        ("true; A=b rds-env my", "true; A=b rds-env my-2 "),
    ];
    let mut script = String::from(
        r#"zmodload zsh/zpty
        type_and_wait() { local seen; zpty -w -n T "$1"; zpty -r -m T seen "*$2*" && print -r -- "$3" }
        zpty T "exec env TERM=vt100 INPUTRC=/dev/null bash --norc --noprofile -i"
        type_and_wait 'PS1=; bind "set enable-bracketed-paste off"; eval "$(rds-token init bash)"
            show() { printf "<%s>" "$READLINE_LINE"; READLINE_LINE=; }; bind -x "\"\C-xs\": show"; echo SET"UP"'$'\n' SETUP setup
        "#,
    );
    for (line, becomes) in lines {
        script += &format!("type_and_wait {line:?}$'\\t\\x18s' {:?} {line:?}\n", format!("?{becomes}?"));
    }
    script += "zpty -d T\n";
    let output = in_terminal(&completing(&sandbox, "zsh", ""), &sandbox, script);
    let expected: String = ["setup"].into_iter().chain(lines.map(|(line, _)| line)).map(|l| format!("{l}\n")).collect();
    assert_eq!(texts(&output), (expected, String::new()));
}

/// Runs a script of zsh that types into a terminal, with the environment of `run`.
fn in_terminal(run: &Run, sandbox: &Sandbox, script: String) -> Output {
    let mut command = Command::new("timeout");
    command.env_clear().args(["60", "zsh", "-f", "-c"]).arg(OsString::from_vec(script.into_bytes()));
    command.current_dir(sandbox.path("home"));
    command.envs(run.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().unwrap()
}

#[track_caller]
fn check(line: &str, said: &str, offered: &[&str], others: &[&str]) {
    let words: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(offered.iter().all(|word| words.contains(word)), "{line}: {said}");
    assert!(!others.iter().any(|word| words.contains(word)), "{line}: {said}");
}

#[test]
fn fish_completes() {
    if !can_run("fish_completes", "fish") {
        return;
    }
    let sandbox = Sandbox::new();
    let complete = |line: &str| completing(&sandbox, "fish", &format!("complete -C '{line}'")).succeeds();
    for (line, offered, others) in COMPLETIONS {
        check(line, &complete(line), offered, others);
    }
    check("rds-token env --ca ho", &complete("rds-token env --ca ho"), &["home/"], &[]);
    check("rds-token env --ca=ho", &complete("rds-token env --ca=ho"), &["--ca=home/"], &[]);
    check("rds prod -- env ho", &complete("rds prod -- env ho"), &["home/"], &["prod"]);
    let packaged = run(&sandbox, "fish", "rds-token completions fish | source; complete -C 'rds-token env p'");
    check("rds-token env p", &packaged.succeeds(), &["prod"], &["my-2"]);
    for line in ["rds-token exec prod -- mine a --fl", "rds prod mine a --fl", "rds-token -v connect prod mine a --fl"]
    {
        let script = format!("complete -c mine -l flag; complete -C '{line}'");
        check(line, &completing(&sandbox, "fish", &script).succeeds(), &["--flag"], &["prod"]);
    }
}

/// zsh completes only in a terminal. Each line is typed there, followed by TAB and a key that prints the line.
#[test]
#[ignore = "needs several seconds"]
fn zsh_completes() {
    if !can_run("zsh_completes", "zsh") {
        return;
    }
    for setup in [
        "autoload -Uz compinit; compinit -u -D; eval \"$(rds-token init zsh)\"",
        "eval \"$(rds-token init zsh)\"; autoload -Uz compinit; compinit -u -D",
        // As a package installs it.
        "fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("functions/_rds-token", &sandbox.without_keys(["completions", "zsh"]).succeeds());
        sandbox.write("directory/file.pem", "");
        let mut script = format!(
            r#"zmodload zsh/zpty
            unset -m 'LS_COLORS'
            type_and_wait() {{ local seen; zpty -w -n T "$1"; zpty -r -m T seen "*$2*" && print -r -- "$3" }}
            zpty T "exec env TERM=vt100 zsh -f -i -u"
            type_and_wait 'PS1=; KEYTIMEOUT=1; unsetopt prompt_cr prompt_sp; unset zle_bracketed_paste; print -r -- "REA""DY"'$'\n' READY ready
            type_and_wait '{setup}; show() {{ print -r -- "<$BUFFER>" }}; zle -N show; bindkey "^X" show; print -r -- "SET""UP"'$'\n' SETUP setup
            "#
        );
        let lines = [
            ("rds-token pro", "<rds-token prod >"),
            ("rds-token con", "<rds-token connect >"),
            ("rds-token env --shell fi", "<rds-token env --shell fish >"),
            ("rds-token env m", "<rds-token env my-2 >"),
            ("rds-token cache clear p", "<rds-token cache clear prod >"),
            ("rds my", "<rds my-2 >"),
            ("rds prod --tim", "<rds prod --timeout >"),
            ("rds-token exec prod --tim", "<rds-token exec prod --timeout >"),
            ("rds-token -v con", "<rds-token -v connect >"),
            ("rds-token --engine=mar", "<rds-token --engine=mariadb >"),
            ("rds-token --profile ze", "<rds-token --profile zebra >"),
            ("rds-token --via ba", "<rds-token --via bastion:1 >"),
            ("rds-token --output j", "<rds-token --output json >"),
            ("rds-token --cache k", "<rds-token --cache keyring >"),
            ("rds-env --ca ~/direc", "<rds-env --ca ~/directory/>"),
            ("rds-env --ca=~/directory/f", "<rds-env --ca=~/directory/file.pem >"),
            ("rds prod printen", "<rds prod printenv >"),
            ("rds prod ls --autho", "<rds prod ls --author >"),
            (
                "rds-token connect mysql://app@db.x:3306/x ls --autho",
                "<rds-token connect mysql://app@db.x:3306/x ls --author >",
            ),
            ("rds-token prod --no-new", "<rds-token prod --no-newline >"),
            ("rds prod -- printen", "<rds prod -- printenv >"),
            ("rds prod -- ls --autho", "<rds prod -- ls --author >"),
            ("rds-env pr", "<rds-env prod >"),
            ("rds-env --uns", "<rds-env --unset >"),
        ];
        for (line, becomes) in lines {
            script += &format!(
                "type_and_wait $'\\x15'{line:?}$'\\t\\x18' {:?} {:?}\n",
                becomes.replace(['<', '>'], "?"),
                line
            );
        }
        script += "zpty -d T\n";
        let output = in_terminal(&completing(&sandbox, "zsh", ""), &sandbox, script);
        let expected: String =
            ["ready", "setup"].into_iter().chain(lines.map(|(line, _)| line)).map(|l| format!("{l}\n")).collect();
        assert_eq!(texts(&output), (expected, String::new()), "{setup}");
    }
}
