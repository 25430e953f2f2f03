//! The AWS profile files, compared with the parser of the AWS CLI: generated files in many spellings, and errors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rds_token::testing::{Choice, Env, Identity, ProfileFiles};
use serde_json::Value;

use crate::harness::{Sandbox, TARGET, key_id, parameter, print_uncaptured, skip};

/// The number of pairs of files that are compared.
const PAIRS: usize = 4_000;

/// Names of profiles, with unusual characters.
const NAMES: [&str; 9] = ["default", "p", "prod-eu", "My Prod", "a.b/c", "ünï", "x[1]", "q,r", "o'neil"];

/// The settings that are compared.
const VALUES: [&str; 7] =
    ["region", "role_arn", "source_profile", "credential_process", "sso_session", "sso_region", "ca_bundle"];

fn one_of<'a>(choices: &[&'a str]) -> &'a str {
    choices[fastrand::usize(..choices.len())]
}

/// Returns true once in `count` calls on average.
fn once_in(count: u32) -> bool {
    fastrand::u32(..count) == 0
}

/// The header of a section, in a random spelling that one of the files may have.
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
        (true, _) if name == "default" && !once_in(3) => name.to_owned(),
        (true, _) => format!("profile {spelled}"),
        (false, 0) => format!("profile {name}"),
        (false, 1) => spelled,
        (false, _) => name.to_owned(),
    };
    let after = if once_in(6) { one_of(&[" # a comment", ";x", "   ", "]", "\t; [y]"]) } else { "" };
    let indent = if once_in(8) { one_of(&[" ", "  ", "\t"]) } else { "" };
    format!("{indent}[{inside}]{after}\n")
}

/// A setting in a random spelling.
fn line(key: &str, value: &str) -> String {
    let key = if once_in(8) { key.to_uppercase() } else { key.to_owned() };
    let indent = if once_in(6) { one_of(&[" ", "  ", "\t", "    "]) } else { "" };
    let between = one_of(&["=", " = ", " =", "= ", ":", ": ", " : ", "  =  "]);
    let after = if once_in(10) { one_of(&[" ", "\t", " # not a comment", " ; not a comment"]) } else { "" };
    format!("{indent}{key}{between}{value}{after}\n")
}

/// Lines between the settings. Python's parser ignores some of them, and the others are different settings.
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

/// A random profile file.
fn file(is_config: bool, pair: usize) -> String {
    let mut text = if once_in(20) { "\n# mine\n".to_owned() } else { String::new() };
    let mut names = NAMES;
    fastrand::shuffle(&mut names);
    for section in 0..fastrand::usize(1..5) {
        // Sometimes a name occurs twice. The last section counts.
        text += &header(names[if once_in(16) { 0 } else { section }], is_config);
        let mark = format!("{}{pair}X{section}", u8::from(is_config));
        let secret = one_of(&["", "/+=", "#;", "%40:", "=x"]);
        let mut lines = Vec::new();
        if !once_in(4) {
            lines.push(line("aws_access_key_id", &format!("AKID{mark}")));
            lines.push(line("aws_secret_access_key", &format!("s{mark}{secret}")));
        }
        for name in ["aws_session_token", "aws_security_token"] {
            if once_in(4) {
                lines.push(line(name, &format!("t{mark}{}", name.len())));
            }
        }
        for name in VALUES {
            if once_in(6) {
                lines.push(line(name, &format!("{name}-{mark}")));
            }
        }
        fastrand::shuffle(&mut lines);
        if once_in(15) {
            lines.pop();
        }
        if once_in(60) {
            lines.push(one_of(&["garbage\n", "[broken\n", "= x\n", "aws_access_key_id = AKIDTWICE\n"]).to_owned());
        }
        let mut noise = NOISE;
        fastrand::shuffle(&mut noise);
        for (index, line) in lines.iter().enumerate() {
            text += noise.get(index).filter(|_| once_in(3)).unwrap_or(&"");
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

/// The keys and settings that botocore finds, for each pair of files. `None` if the AWS CLI is not installed.
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

/// Whether a request can be signed with this key.
fn is_usable(key: &Value) -> bool {
    key.as_str().is_none_or(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Each profile has the same access keys and values as in botocore. Where botocore finds no keys, an error is allowed.
/// Files that botocore refuses are only counted.
#[test]
#[ignore = "needs the AWS CLI"]
fn generated_files_have_the_same_keys_as_in_botocore() {
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
        let files_text = || {
            let text = |name: &str| std::fs::read_to_string(pair.join(name)).unwrap();
            format!("config:\n{}\ncredentials:\n{}\n{answer}", text("config"), text("credentials"))
        };
        if answer.is_null() {
            refused += 1;
            continue;
        }
        let profiles = files.get(&env).unwrap_or_else(|error| panic!("{error}\n{}", files_text()));
        for name in NAMES {
            let expected = &answer[name];
            assert_eq!(profiles.has(name), !expected["values"].is_null(), "{name}: {}", files_text());
            for key in VALUES {
                let value = expected["values"][key].as_str().map(str::trim).filter(|value| !value.is_empty());
                assert_eq!(profiles.value(name, key), value, "{name}, {key}: {}", files_text());
                same_values += 1;
            }
            same_keys += usize::from(compare_keys(&env, &files, name, expected, &files_text));
        }
    }
    print_uncaptured(&format!(
        "{PAIRS} pairs: {same_keys} equal keys, {same_values} equal values, {refused} refused by botocore"
    ));
    assert!(same_keys > 1_500 && PAIRS - refused >= 2_000, "the generated files are too simple");
}

/// Compares the keys of a profile. Returns false if it has no keys or another source.
fn compare_keys(
    env: &Env,
    files: &ProfileFiles,
    name: &str,
    expected: &Value,
    files_text: &dyn Fn() -> String,
) -> bool {
    let has_other_source = ["role_arn", "credential_process"].iter().any(|key| expected["values"][key].is_string());
    if has_other_source || expected["values"].is_null() {
        return false;
    }
    let choice = Choice { profile: Some(name), ..Choice::default() };
    let identity = Identity::find(env, files, choice);
    let keys = identity.as_ref().ok().and_then(|identity| identity.keys());
    match expected["keys"].as_array() {
        None => assert!(keys.is_none(), "{name}: botocore finds no keys: {}", files_text()),
        Some(expected) if expected.iter().all(is_usable) => {
            let keys = keys.unwrap_or_else(|| panic!("{name}: {:?}: {}", identity.as_ref().err(), files_text()));
            let token = keys.session_token.as_ref().map(|token| token.expose().as_str());
            let actual = [Some(keys.access_key_id.as_str()), Some(keys.secret_access_key.expose().as_str()), token];
            let expected: Vec<Option<&str>> = expected.iter().map(Value::as_str).collect();
            assert_eq!(actual.to_vec(), expected, "{name}: {}", files_text());
            return true;
        }
        // Keys that can't sign are refused.
        Some(_) => assert!(identity.is_err(), "{name}: {}", files_text()),
    }
    false
}

/// The SDK's own parser refuses or misreads each of these files.
#[test]
fn unusual_spellings_are_accepted() {
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    for (profile, config) in [
        ("My Prod", format!("[profile 'My Prod']\n{}", keys("AKIDX"))),
        ("My Prod", format!("[profile \"My Prod\"]\n{}", keys("AKIDX"))),
        ("ünï", format!("[profile ünï]\n{}", keys("AKIDX"))),
        ("a,b", format!("[profile a,b]\n{}", keys("AKIDX"))),
        ("p", format!("  [profile p]\n{}", keys("AKIDX").replace("aws", "    aws"))),
        ("p", format!("[profile p] # prod\n{}", keys("AKIDX"))),
        ("p", format!("[profile p]\n{}", keys("AKIDX").replace(" = ", ": "))),
        ("p", format!("[profile p]\n{}", keys("AKIDX").to_uppercase().replace("= S", "= s"))),
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
    let json = "{\"Version\":1,\"AccessKeyId\":\"AKIDX\",\"SecretAccessKey\":\"a #b ;c\"}";
    let config = format!("[profile p]\ncredential_process = printf '%s' '{json}' | tr -d ' '\n");
    sandbox.write(".aws/config", &config);
    assert_eq!(key_id(&sandbox.without_keys([TARGET, "--profile", "p"]).succeeds()), "AKIDX");
}

#[test]
fn keys_of_the_two_files_are_not_mixed() {
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
    // Without an ID in it, this file is not used.
    sandbox.write(".aws/credentials", "[default]\naws_secret_access_key = other\naws_session_token = other\n");
    let token = sandbox.without_keys([TARGET]).succeeds();
    assert_eq!((key_id(&token), parameter(&token, "X-Amz-Security-Token")), ("AKIDCONFIG", Some("tc")));
}

/// A quadratic parser would need minutes, and gigabytes of memory for the last file.
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
fn errors_in_the_files_are_reported() {
    let sandbox = Sandbox::new();
    let keys = "aws_access_key_id = AKIDX\naws_secret_access_key = s\n";
    let run = |config: &str, args: &[&str]| {
        sandbox.write(".aws/config", config);
        sandbox.without_keys([&[TARGET, "--no-cache"], args].concat())
    };
    let (_, stderr) = run(&format!("[default]\naws_access_key_id = AKIDOLD\n{keys}"), &[]).warns();
    assert!(stderr.contains(".aws/config:3: aws_access_key_id in [default] appears twice"), "{stderr}");
    // Only the last section counts, so an ID is not combined with another key's secret.
    let (token, stderr) =
        run(&format!("[default]\n{}[profile x]\n[default]\n{keys}", keys.replace('X', "Y")), &[]).warns();
    assert!(stderr.contains(".aws/config:5: [default] appears twice"), "{stderr}");
    assert_eq!(key_id(&token), "AKIDX");
    let line = run(&format!("[default]\n{keys}[default]\naws_access_key_id = AKIDZ\n"), &[]).fails(3);
    assert!(line.contains("no aws_secret_access_key"), "{line}");
    let role = |more: &str| format!("[profile p]\nrole_arn = r\n{more}");
    let sso = |more: &str| format!("[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n{more}");
    let quoted = "needs quotes: [profile \"my prod\"]";
    for (config, profile, code, part) in [
        ("[p]\naws_access_key_id = A\n", "p", 3, "[p] in "),
        ("[p]\naws_access_key_id = A\n", "p", 3, "must be [profile p]"),
        ("[profile prod]\n", "prd", 3, "did you mean 'prod'?"),
        ("[profile my prod]\n", "my prod", 3, quoted),
        ("[profile p]\nsso_session = s\n[sso-session s]\n", "p", 3, "no sso_account_id and sso_role_name"),
        (&sso(""), "p", 3, "the section [sso-session s] is missing"),
        (
            &sso("sso_region = a\n[sso-session s]\nsso_region = b\nsso_start_url = u\n"),
            "p",
            3,
            "has sso_region = a, but [sso-session s] has b",
        ),
        (&role("credential_source = Ec2InstanceMetadata\nservices = s\n"), "p", 3, "AWS_EC2_METADATA_DISABLED"),
        (
            &role(&format!("source_profile = q\nservices = s\n[profile q]\n{keys}")),
            "p",
            2,
            "the section [services s] is missing in ",
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
