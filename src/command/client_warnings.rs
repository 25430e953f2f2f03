//! Warnings about clients that do not verify the server, or that the user's own settings redirect.

use crate::client::environment::{LOGIN_FILE_VARIABLE, NO_LOGIN_FILE};
use crate::client::option_file::Flavor;
use crate::client::user_option_file::{UserOptionFile, login_path_file};
use crate::os::env::Env;
use crate::settings::Settings;
use crate::target::endpoint;

/// Warns if a client of MySQL or MariaDB does not verify the server because it connects to another name than the
/// endpoint's (`--via`).
pub(super) fn warn_about_via(settings: &Settings, flavor: Flavor) {
    let Settings { via: Some(_), report, target, .. } = settings else { return };
    if flavor != Flavor::Mysql {
        report.warn(
            "via: this client connects to another name, so it verifies only the CA, and it accepts a server without \
             TLS; use MySQL's client, or a line in /etc/hosts",
        );
    }
    if settings.ca.is_none() && endpoint::is_proxy(&target.host) {
        report.warn(
            "via: the certificate of an RDS Proxy comes from a public CA, which is trusted only if the client checks \
             the name, so this client will refuse the server; use a line in /etc/hosts instead of --via",
        );
    }
}

/// Warns about the login path file, which Oracle's clients read after every option file. `connect` disables it.
pub(super) fn warn_about_login_path(env: &Env, settings: &Settings, flavor: Flavor) {
    if let Some(path) = login_path_file(env).filter(|_| flavor == Flavor::Mysql) {
        settings.report.warn(&format!(
            "{} overrides host, user and password for MySQL's programs if it has a login path 'client'; use `rds-token \
             connect`, or set {LOGIN_FILE_VARIABLE}={NO_LOGIN_FILE}",
            path.display()
        ));
    }
}

/// Warns about options in `~/.my.cnf` that override the target, because clients read it after `MYSQL_HOME`.
pub(super) fn warn_about_user_options(env: &Env, settings: &Settings) {
    let Some(file) = UserOptionFile::read(env) else { return };
    let (path, options) = (file.path.display(), file.overriding().join(", "));
    let problem = match &file.unread {
        Some(why) => format!("options in {path} may override the target, because {why}"),
        None if options.is_empty() => return,
        None => format!("the target is overridden by options in {path}: {options}"),
    };
    settings
        .report
        .warn(&format!("MYSQL_HOME: {problem}; use `rds-token connect` with the client's name, or `rds-token cnf`"));
}
