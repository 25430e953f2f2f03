//! The AWS profile files, read beside the AWS CLI's own reader: generated pairs of files in the spellings that
//! people use, and the faults that are named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rds_token::testing::Env;
use rds_token::testing::{Choice, Identity, ProfileFiles};
use serde_json::Value;

use crate::harness::{Sandbox, TARGET, key_id, parameter, skip, tell};

/// How many pairs of files are compared.
const PAIRS: usize = 4_000;

/// Names of profiles, with what people put into them.
const NAMES: [&str; 9] = ["default", "p", "prod-eu", "My Prod", "a.b/c", "ünï", "x[1]", "q,r", "o'neil"];

const VALUES: [&str; 7] =
    ["region", "role_arn", "source_profile", "credential_process", "sso_session", "sso_region", "ca_bundle"];

fn one_of<'a>(choices: &[&'a str]) -> &'a str {
    choices[fastrand::usize(..choices.len())]
}

fn rarely(odds: u32) -> bool {
    fastrand::u32(..odds) == 0
}

/// The header of a section of `name`, as one of the files spells it.
fn header(name: &str, is_config: bool) -> String {
    let double = format!("\"{name}\"");
    let single = if name.contains('\'') { double.clone() } else { format!("'{name}'") };
    let spelled = match fastrand::u32(..8) {
        0 => double,
        1 => single,
        _ if is_config && name.contains([' ', '\'']) => single,
        _ => name.to_owned(),
    };
    let inside = match (is_config, fastrand::u32(..12)) {
        (true, 0) => name.to_owned(),
        (true, 1) => format!("profile  {spelled} "),
        (true, 2) => format!(" profile {spelled}"),
        (true, 3) => format!("sso-session {spelled}"),
        (true, 4) if name == "default" => "DEFAULT".to_owned(),
        (true, _) if name == "default" && !rarely(3) => name.to_owned(),
        (true, _) => format!("profile {spelled}"),
        (false, 0) => format!("profile {name}"),
        (false, 1) => spelled,
        (false, _) => name.to_owned(),
    };
    let after = if rarely(6) { one_of(&[" # a comment", ";x", "   ", "]", "\t; [y]"]) } else { "" };
    let indent = if rarely(8) { one_of(&[" ", "  ", "\t"]) } else { "" };
    format!("{indent}[{inside}]{after}\n")
}

fn line(key: &str, value: &str) -> String {
    let key = if rarely(8) { key.to_uppercase() } else { key.to_owned() };
    let indent = if rarely(6) { one_of(&[" ", "  ", "\t", "    "]) } else { "" };
    let between = one_of(&["=", " = ", " =", "= ", ":", ": ", " : ", "  =  "]);
    let after = if rarely(10) { one_of(&[" ", "\t", " # no comment", " ; nor this"]) } else { "" };
    format!("{indent}{key}{between}{value}{after}\n")
}

/// Lines between the keys that must change nothing, or what Python says they change.
const NOISE: [&str; 8] = [
    "\n",
    "# aws_access_key_id = AKIDCOMMENT\n",
    "   ; indented comment\n",
    "\t# another\n",
    "s3 =\n  addressing_style = path\n  max_concurrent_requests=20\n",
    "dynamodb=\n\n\taws_access_key_id = AKIDNESTED\n",
    "output = json\n  continued = yes\n",
    "cli_pager=\n",
];

fn file(is_config: bool, pair: usize) -> String {
    let mut text = if rarely(20) { "\n# mine\n".to_owned() } else { String::new() };
    let mut names = NAMES;
    fastrand::shuffle(&mut names);
    for section in 0..fastrand::usize(1..5) {
        // Two spellings of one name at times: of these the last one counts.
        text += &header(names[if rarely(16) { 0 } else { section }], is_config);
        let (mark, secret) =
            (format!("{}{pair}X{section}", u8::from(is_config)), one_of(&["", "/+=", "#;", "%40:", "=x"]));
        let mut lines = Vec::new();
        if !rarely(4) {
            lines.push(line("aws_access_key_id", &format!("AKID{mark}")));
            lines.push(line("aws_secret_access_key", &format!("s{mark}{secret}")));
        }
        for name in ["aws_session_token", "aws_security_token"] {
            if rarely(4) {
                lines.push(line(name, &format!("t{mark}{}", name.len())));
            }
        }
        for name in VALUES {
            if rarely(6) {
                lines.push(line(name, &format!("{name}-{mark}")));
            }
        }
        fastrand::shuffle(&mut lines);
        if rarely(15) {
            lines.pop();
        }
        if rarely(60) {
            lines.push(one_of(&["garbage\n", "[broken\n", "= x\n", "aws_access_key_id = AKIDTWICE\n"]).to_owned());
        }
        let mut noise = NOISE;
        fastrand::shuffle(&mut noise);
        for (index, line) in lines.iter().enumerate() {
            text += noise.get(index).filter(|_| rarely(3)).unwrap_or(&"");
            text += line;
        }
    }
    match fastrand::u32(..30) {
        0 => text = text.replace('\n', "\r\n"),
        1 => text = text.replace('\n', "\r"),
        2 => text.insert(0, '\u{feff}'),
        3 => text.truncate(text.trim_end().len()),
        _ => {}
    }
    text
}

fn botocore(directory: &Path) -> Option<Vec<Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parent = root.join("target/awscli/awscli");
    if !parent.join("botocore").is_dir() {
        skip("profile_files", "the AWS CLI is not in target/awscli; run `make test`");
        return None;
    }
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.arg(root.join("tests/lab/botocore_profiles.py")).arg(parent).arg(directory).args(NAMES);
    let output = command.env("PYTHONUTF8", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn env(pair: &Path) -> Env {
    let path = |name: &str| pair.join(name).into_os_string();
    Env::with_vars(vec![
        ("AWS_CONFIG_FILE".into(), path("config")),
        ("AWS_SHARED_CREDENTIALS_FILE".into(), path("credentials")),
    ])
}

/// A key that a request can be signed with.
fn is_plausible(key: &Value) -> bool {
    key.as_str().is_none_or(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Of each pair, every profile: the same access keys and values as botocore, or, where botocore finds none, at most
/// an error. Files that botocore refuses as a whole are only counted.
#[test]
#[ignore = "needs the AWS CLI"]
fn generated_files_give_the_keys_that_botocore_finds() {
    fastrand::seed(9);
    let sandbox = Sandbox::new();
    let pairs: Vec<PathBuf> = (0..PAIRS).map(|pair| sandbox.path(format!("pairs/{pair:05}"))).collect();
    for (number, pair) in pairs.iter().enumerate() {
        std::fs::create_dir_all(pair).unwrap();
        std::fs::write(pair.join("config"), file(true, number)).unwrap();
        std::fs::write(pair.join("credentials"), file(false, number)).unwrap();
    }
    let Some(answers) = botocore(&sandbox.path("pairs")) else { return };
    assert_eq!(answers.len(), PAIRS);
    let (mut same_keys, mut same_values, mut refused) = (0, 0, 0);
    for (pair, answer) in pairs.iter().zip(&answers) {
        let env = env(pair);
        let files = ProfileFiles::new(env.deadline(Duration::from_secs(60)));
        let shown = || {
            let text = |name: &str| std::fs::read_to_string(pair.join(name)).unwrap();
            format!("config:\n{}\ncredentials:\n{}\n{answer}", text("config"), text("credentials"))
        };
        if answer.is_null() {
            refused += 1;
            continue;
        }
        let profiles = files.get(&env).unwrap_or_else(|error| panic!("{error}\n{}", shown()));
        for name in NAMES {
            let theirs = &answer[name];
            assert_eq!(profiles.has(name), !theirs["values"].is_null(), "{name}: {}", shown());
            for key in VALUES {
                let value = theirs["values"][key].as_str().map(str::trim).filter(|value| !value.is_empty());
                assert_eq!(profiles.value(name, key), value, "{name}, {key}: {}", shown());
                same_values += 1;
            }
            same_keys += usize::from(compare_keys(&env, &files, name, theirs, &shown));
        }
    }
    tell(&format!("{PAIRS} pairs: {same_keys} equal keys, {same_values} equal values, {refused} refused by botocore"));
    assert!(same_keys > 1_500 && PAIRS - refused >= 2_000, "the generator tries too little");
}

/// Compares the keys of one profile without other sources. Returns whether there were any.
fn compare_keys(env: &Env, files: &ProfileFiles, name: &str, theirs: &Value, shown: &dyn Fn() -> String) -> bool {
    let leads_elsewhere = ["role_arn", "credential_process"].iter().any(|key| theirs["values"][key].is_string());
    if leads_elsewhere || theirs["values"].is_null() {
        return false;
    }
    let choice = Choice { profile: Some(name), ..Choice::default() };
    let found = Identity::find(env, files, choice);
    let keys = found.as_ref().ok().and_then(|identity| identity.keys());
    match theirs["keys"].as_array() {
        None => assert!(keys.is_none(), "{name}: there are keys that botocore does not find: {}", shown()),
        Some(expected) if expected.iter().all(is_plausible) => {
            let keys = keys.unwrap_or_else(|| panic!("{name}: {:?}: {}", found.as_ref().err(), shown()));
            let token = keys.session_token.as_ref().map(|token| token.expose().as_str());
            let ours = [Some(keys.access_key_id.as_str()), Some(keys.secret_access_key.expose().as_str()), token];
            let expected: Vec<Option<&str>> = expected.iter().map(Value::as_str).collect();
            assert_eq!(ours.to_vec(), expected, "{name}: {}", shown());
            return true;
        }
        // What can't sign is refused by name.
        Some(_) => assert!(found.is_err(), "{name}: {}", shown()),
    }
    false
}

/// Each of these files was refused or misread by the SDK's parser.
#[test]
fn the_spellings_that_people_use() {
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    for (profile, config) in [
        ("My Prod", format!("[profile 'My Prod']\n{}", keys("AKIDX"))),
        ("My Prod", format!("[profile \"My Prod\"]\n{}", keys("AKIDX"))),
        ("ünï", format!("[profile ünï]\n{}", keys("AKIDX"))),
        ("a,b", format!("[profile a,b]\n{}", keys("AKIDX"))),
        ("p", format!("  [profile p]\n{}", keys("AKIDX").replace("aws", "    aws"))),
        ("p", format!("[profile p] # prod\n{}", keys("AKIDX"))),
        ("p", format!("[profile p]\n{}", keys("AKIDX").replace(" = ", ": "))),
        (
            "p",
            format!(
                "[profile p]\n{}",
                keys("AKIDX").to_uppercase().replace("AWS_SECRET_ACCESS_KEY = S", "AWS_SECRET_ACCESS_KEY = s")
            ),
        ),
        ("p", format!("[profile p]\ns3 =\n  max = 1\n{}", keys("AKIDX"))),
        ("p", format!("[profile p]\n{}  # an indented comment\n", keys("AKIDX"))),
        ("p", format!("\u{feff}[profile p]\r\n{}", keys("AKIDX").replace('\n', "\r\n"))),
        ("p", format!("[profile p]\r{}", keys("AKIDX").replace('\n', "\r"))),
        ("p", format!("[profile odd]\nx =\n  no equals sign\n[profile p]\n{}", keys("AKIDX"))),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(".aws/config", &config);
        let token = sandbox.without_keys([TARGET, "--profile", profile]).succeeds();
        assert_eq!(key_id(&token), "AKIDX", "{config}");
    }
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/config",
        "[profile p]\ncredential_process = printf '%s' '{\"Version\":1,\"AccessKeyId\":\"AKIDX\",\"SecretAccessKey\":\"a #b ;c\"}' | tr -d ' '\n",
    );
    assert_eq!(key_id(&sandbox.without_keys([TARGET, "--profile", "p"]).succeeds()), "AKIDX");
}

#[test]
fn keys_of_the_two_files_are_never_mixed() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".aws/config",
        "[default]\naws_access_key_id = AKIDCONFIG\naws_secret_access_key = s\naws_session_token = tc\n",
    );
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = AKIDCRED\naws_secret_access_key = s\n");
    let token = sandbox.without_keys([TARGET]).succeeds();
    assert_eq!((key_id(&token), parameter(&token, "X-Amz-Security-Token")), ("AKIDCRED", None));
    sandbox.write(".aws/credentials", "[default]\naws_access_key_id = AKIDCRED\n");
    let line = sandbox.without_keys([TARGET]).fails(3);
    assert!(line.contains(".aws/credentials has aws_access_key_id but no aws_secret_access_key"), "{line}");
    // Without an id there, the other file counts alone.
    sandbox.write(".aws/credentials", "[default]\naws_secret_access_key = other\naws_session_token = other\n");
    let token = sandbox.without_keys([TARGET]).succeeds();
    assert_eq!((key_id(&token), parameter(&token, "X-Amz-Security-Token")), ("AKIDCONFIG", Some("tc")));
}

/// Large files are read in one pass. A quadratic reader would take minutes, and gigabytes for the last one.
#[test]
fn large_files_are_read_in_one_pass() {
    let sandbox = Sandbox::new();
    let keys = "[default]\naws_access_key_id = AKIDX\naws_secret_access_key = s\n";
    let numbered =
        |form: &str, count: usize| -> String { (0..count).map(|i| form.replace('N', &i.to_string())).collect() };
    for text in [
        format!("{keys}{}", numbered("[profile aN]\n", 60_000)),
        format!("{keys}{}", numbered("kN = v\n", 110_000)),
        format!("[DEFAULT]\n{}{keys}{}", numbered("kN = v\n", 3_000), numbered("[profile aN]\n", 3_000)),
    ] {
        sandbox.write(".aws/config", &text);
        let token = sandbox.without_keys([TARGET, "--no-cache"]).succeeds();
        assert_eq!(key_id(&token), "AKIDX");
    }
}

#[test]
fn faults_in_the_files_are_named() {
    let sandbox = Sandbox::new();
    let keys = "aws_access_key_id = AKIDX\naws_secret_access_key = s\n";
    let run = |config: &str, args: &[&str]| {
        sandbox.write(".aws/config", config);
        sandbox.without_keys([&[TARGET, "--no-cache"], args].concat())
    };
    let (_, stderr) = run(&format!("[default]\naws_access_key_id = AKIDOLD\n{keys}"), &[]).warns();
    assert!(stderr.contains(".aws/config:3: aws_access_key_id in [default] appears twice"), "{stderr}");
    // The last section counts alone: an id must not meet another's secret.
    let (token, stderr) =
        run(&format!("[default]\n{}[profile x]\n[default]\n{keys}", keys.replace('X', "Y")), &[]).warns();
    assert!(stderr.contains(".aws/config:5: [default] appears twice"), "{stderr}");
    assert_eq!(key_id(&token), "AKIDX");
    let line = run(&format!("[default]\n{keys}[default]\naws_access_key_id = AKIDZ\n"), &[]).fails(3);
    assert!(line.contains("no aws_secret_access_key"), "{line}");
    for (config, profile, code, part) in [
        ("[p]\naws_access_key_id = A\n", "p", 3, "[p] in "),
        ("[p]\naws_access_key_id = A\n", "p", 3, "must be [profile p]"),
        ("[profile prod]\n", "prd", 3, "did you mean 'prod'?"),
        ("[profile my prod]\n", "my prod", 3, "needs quotes: [profile \"my prod\"]"),
        ("[profile p]\nsso_session = s\n[sso-session s]\n", "p", 3, "no sso_account_id and sso_role_name"),
        ("[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "p", 3, "no section [sso-session s]"),
        (
            "[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\nsso_region = a\n\
             [sso-session s]\nsso_region = b\nsso_start_url = u\n",
            "p",
            3,
            "has sso_region = a, but [sso-session s] has b",
        ),
        (
            "[profile p]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\nservices = s\n",
            "p",
            3,
            "AWS_EC2_METADATA_DISABLED",
        ),
        (
            "[profile p]\nrole_arn = r\nsource_profile = q\nservices = s\n[profile q]\naws_access_key_id = A\naws_secret_access_key = s\n",
            "p",
            2,
            "no section [services s]",
        ),
        ("[profile p]\nx\n", "p", 2, ".aws/config:2: a line must be a section"),
        ("[profile p\n", "p", 2, ".aws/config:1: a section needs a closing bracket"),
    ] {
        let line = run(config, &["--profile", profile]).fails(code);
        assert!(line.contains(part), "{config}: {line}");
    }
    let line = run("", &["--profile", "p"]).env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/x").fails(3);
    assert!(line.contains("AWS_SHARED_CREDENTIALS_FILE names /nonexistent/x, which does not exist"), "{line}");
    let line = run("", &[]).env("AWS_CONFIG_FILE", "/nonexistent/x").fails(3);
    assert!(line.contains("AWS_CONFIG_FILE names /nonexistent/x, which does not exist"), "{line}");
}
