//! Basic behavior on every system: a new token, a cached token, and errors. `make test-portable` runs it.
//!
//! It uses the standard library only. tests/main.rs needs Unix.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TARGET: &str = "app@db.abc123.eu-west-1.rds.amazonaws.com:3306";

/// The program under test. The shell scripts of tests/platforms drop the variable, because its name has a hyphen.
const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_rds-token");

/// A directory that is removed when dropped.
struct Home(PathBuf);

impl Home {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Runs the program with access keys, and with no files of the user's.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM.unwrap());
        command.args(args).current_dir(&self.0);
        for name in ["HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"] {
            command.env(name, &self.0);
        }
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "RDS_TOKEN_CONFIG", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command.env("RDS_TOKEN_CACHE_DIR", self.0.join("cache"));
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret-example");
        command.output().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_token_is_signed_and_cached() {
    let home = Home::new("token");
    let first = home.run(&[TARGET]);
    let (stdout, stderr) = (text(&first.stdout), text(&first.stderr));
    assert!(first.status.success() && stderr.is_empty(), "{stderr}");
    assert!(stdout.starts_with("db.abc123.eu-west-1.rds.amazonaws.com:3306/?Action=connect&DBUser=app&"), "{stdout}");
    assert!(stdout.trim_end().split("X-Amz-Signature=").nth(1).is_some_and(|signature| signature.len() == 64));

    let second = home.run(&["-v", TARGET]);
    assert_eq!(text(&second.stdout), stdout);
    assert!(text(&second.stderr).contains("(hit)"), "{}", text(&second.stderr));
}

#[test]
fn errors_have_one_line_and_an_exit_code() {
    let home = Home::new("errors");
    let output = home.run(&["app@db.abc123.eu-west-1.rds.amazonaws.com:99999"]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.starts_with("rds-token: ") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn the_version_is_printed() {
    let output = Home::new("version").run(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("rds-token ", env!("CARGO_PKG_VERSION"), "\n"));
}
