//! Properties that hold for any input.
//!
//! A parser does not panic, its error messages are one harmless line, and a parsed value that is printed parses to the
//! same value. An output format refuses the values, or an independent reader finds exactly these values in the output.
//!
//! `make fuzz` searches for inputs that break a property. tests/fuzzed.rs tests the stored inputs.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rds_token::testing::{
    Access, AccessKeys, Choice, Config, DatabaseUser, Engine, Entry, Env, Error, Flavor, Identity, Key, LIFETIME,
    Layer, Login, OptionFile, PasswordIn, PasswordKind, ProfileFiles, Region, Secret, Shell, Target, TargetSpec,
    Timestamp, TokenFields, TokenSource, Url, Via, encode, read_heading, render_json, render_passfile, sign,
};
use time::OffsetDateTime;

/// A property of the program. It panics if the property does not hold for the input.
pub(crate) type Property = fn(&[u8]);

/// Every property, by the name of its directory in fuzz/corpus.
pub(crate) const ALL: [(&str, Property); 11] = [
    ("config", config),
    ("entry", entry),
    ("environment", environment),
    ("json", json),
    ("option_file", option_file),
    ("passfile", passfile),
    ("profile", profile),
    ("sql", sql),
    ("target", target),
    ("token", token),
    ("url", url),
];

const HOST: &str = "db.abc123.eu-west-1.rds.amazonaws.com";
const CANARY: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYCANARY";

/// Splits an input into `N` texts at the bytes 0xff.
fn fields<const N: usize>(data: &[u8]) -> [String; N] {
    let mut fields = data.split(|byte| *byte == 0xff).map(|field| String::from_utf8_lossy(field).into_owned());
    std::array::from_fn(|_| fields.next().unwrap_or_default())
}

/// Returns the text. `None` if it is empty.
fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Asserts that a message is one line without characters that control a terminal.
fn assert_harmless(error: &Error) {
    let line = error.to_string();
    assert!(!line.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{line:?}");
}

/// A target with this user and database. `None` if they are refused.
fn sample(user: &str, database: &str, engine: Engine) -> Option<Target> {
    let engine = non_empty(engine.name());
    let spec =
        TargetSpec { host: non_empty(HOST), port: None, user: non_empty(user), database: non_empty(database), engine };
    match spec.validate(None, || Ok(None)) {
        Ok((target, _)) => Some(target),
        Err(error) => {
            assert_harmless(&error);
            None
        }
    }
}

/// Any text as a token. `None` if it contains characters that `AccessKeys` and `Target` refuse.
fn secret(text: &str) -> Option<Secret<String>> {
    (!text.contains(char::is_control)).then(|| Secret::new(text.to_owned()))
}

static KEY: LazyLock<Key> = LazyLock::new(|| {
    let vars = [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", CANARY)];
    let env = Env::with_vars(vars.map(|(name, value)| (name.into(), value.into())).into());
    let identity = Identity::find(&env, &ProfileFiles::new(env.deadline(Duration::ZERO)), Choice::default()).unwrap();
    Key::of(&env, &sample("u", "", Engine::Mysql).unwrap(), LIFETIME, identity.fingerprint())
});

/// Token, time since boot, expiry of the credentials; then the position and the text of a change to the stored entry.
fn entry(data: &[u8]) {
    let _ = Entry::decode(data, KEY.as_str());
    let [token, boot, expiry, position, change] = fields(data);
    let boot = Duration::from_millis(boot.parse().unwrap_or(1));
    let expiry = expiry.parse().ok().and_then(|expiry| OffsetDateTime::from_unix_timestamp(expiry).ok());
    let signed = Timestamp { wall: OffsetDateTime::UNIX_EPOCH, boot };
    let (user, port) = match TokenFields::parse(&token).map(|fields| fields.login) {
        Some(Login::Rds { user, port }) => (user, port),
        _ => ("u".to_owned(), 5432),
    };
    let Some(entry) = Entry::new(Secret::new(token), &user, port, signed, expiry) else { return };
    let assert_same = |read: &Entry| {
        assert_eq!((&read.token, &read.fields), (&entry.token, &entry.fields));
        assert_eq!((&read.user, read.port), (&entry.user, entry.port));
        assert_eq!((read.signed_at_boot, read.credentials_expire_at), (boot, expiry));
    };
    let stored = entry.encode(&KEY);
    assert_same(&Entry::decode(&stored, KEY.as_str()).expect("the stored entry is read"));
    assert!(Entry::decode(&stored, "another key").is_none(), "the entry was read with another key");

    let start = position.parse::<usize>().unwrap_or(0).min(stored.len());
    let is_truncated = start + 1 < stored.len();
    assert!(!is_truncated || Entry::decode(&stored[..start], KEY.as_str()).is_none(), "a truncated entry was read");
    let mut changed = stored;
    let end = (start + change.len()).min(changed.len());
    changed.splice(start..end, change.into_bytes());
    // The changed bytes may be the same JSON in another form, but not another entry.
    if let Some(read) = Entry::decode(&changed, KEY.as_str()) {
        assert_same(&read);
    }
    for wall in [entry.fields.signed_at, OffsetDateTime::UNIX_EPOCH, entry.expires_at()] {
        for boot in [Duration::ZERO, boot, Duration::MAX] {
            let left = entry.remaining(Timestamp { wall, boot }).unwrap_or_default();
            let tolerance = Duration::from_secs(5);
            assert!(left <= entry.fields.lifetime + tolerance, "{left:?}");
        }
    }
}

/// A text that may be a token; then the target, the keys and the time of a new token.
fn token(data: &[u8]) {
    let [text, user, host, port, region, id, session, date] = fields(data);
    if let Some(TokenFields { host, login, .. }) = TokenFields::parse(&text) {
        let port = if let Login::Rds { port, .. } = login { format!(":{port}") } else { String::new() };
        assert!(text.starts_with(&format!("{host}{port}/?")), "{host}{port}");
    }
    let [host, port, user] = [host, port, user].map(|text| non_empty(&text));
    let spec = TargetSpec { host, port, user, ..TargetSpec::default() };
    let region = non_empty(&region).as_deref().map(Region::of_flag);
    let Ok((target, _)) = spec.validate(region, || Ok(None)) else { return };
    let session = non_empty(&session);
    let Ok(keys) = AccessKeys::new(id.clone(), CANARY.to_owned(), session.clone(), None) else { return };
    let now = OffsetDateTime::from_unix_timestamp(date.parse::<u32>().unwrap_or(0).into()).unwrap();
    let token = sign(&target, &keys, LIFETIME, now).expect("a valid target is signed");
    let token = token.expose();
    let fields = TokenFields::parse(token).expect("a signed token is parsed");
    assert!(fields.is_for(&target) && fields.signed_at == now, "{fields:?}");
    assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token:?}");
    let mut names = Vec::new();
    for pair in token.split_once("/?").unwrap().1.split('&') {
        let (name, value) = pair.split_once('=').unwrap();
        let value = percent_decode_str(value).decode_utf8().unwrap();
        names.push(name);
        match name {
            "DBUser" => assert_eq!(value, target.user),
            "X-Amz-Credential" => assert_eq!(value.split('/').next(), Some(id.as_str())),
            "X-Amz-Security-Token" => assert_eq!(Some(value.into_owned()), session),
            _ => {}
        }
    }
    // The user name adds no parameter.
    let session = ["X-Amz-Security-Token"].iter().filter(|_| keys.session_token.is_some());
    let amz = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"].map(|name| format!("X-Amz-{name}"));
    let user = if matches!(fields.login, Login::Rds { .. }) { &["DBUser"][..] } else { &[] };
    let expected = ["Action"]
        .into_iter()
        .chain(user.iter().copied())
        .chain(amz.iter().map(String::as_str))
        .chain(session.copied());
    assert_eq!(names, expected.chain(["X-Amz-Signature"]).collect::<Vec<_>>());
    assert!(!token.contains(CANARY));
}

/// TARGET, `--region` and `--via`.
fn target(data: &[u8]) {
    let [text, region, via] = fields(data);
    match Via::parse(&via) {
        Ok(via) => {
            let host = if via.host.contains(':') { format!("[{}]", via.host) } else { via.host.clone() };
            assert_eq!(Via::parse(&format!("{host}:{}", via.port)).expect(&host), via);
        }
        Err(error) => assert_harmless(&error),
    }
    let parse = |text: &str, engine: Option<Engine>| {
        let mut spec = TargetSpec::parse(text)?;
        spec.engine = spec.engine.or_else(|| engine.and_then(|engine| non_empty(engine.name())));
        spec.validate(non_empty(&region).as_deref().map(Region::of_flag), || Ok(None)).map(|(target, _)| target)
    };
    let target = match parse(&text, None) {
        Ok(target) => target,
        Err(error) => return assert_harmless(&error),
    };
    let database = target.database.as_deref().unwrap_or_default();
    let Target { host, port, user, engine, region, .. } = &target;
    assert!(!format!("{target}{database}{region}").contains(char::is_control), "{target:?}");
    assert!(host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b)), "{host}");
    assert!(!host.is_empty() && host.len() <= 253 && !user.is_empty() && *port > 0, "{target:?}");
    if let Some(engine) = engine {
        let url = format!("{}://{}@{host}:{port}/{}", engine.name(), encode(user), encode(database));
        assert_eq!(parse(&url, None).expect(&url), target);
    }
    let slash = if database.is_empty() { "" } else { "/" };
    let text = format!("{target}{slash}{database}");
    // In this form the user name extends to the last `@`. A text with `://` is a URL.
    if !text.contains("://") && !database.contains('@') {
        assert_eq!(parse(&text, *engine).expect(&text), target);
    }
}

/// The text of a configuration file.
fn config(data: &[u8]) {
    let [text] = fields(data);
    let parse = |text: &str| Config::parse(Path::new("/c.toml"), text);
    let config = match parse(&text) {
        Ok(config) => config,
        Err(error) => {
            assert_harmless(&error);
            let line = error
                .to_string()
                .strip_prefix("configuration: /c.toml:")
                .and_then(|rest| rest.split_once(':')?.0.parse::<usize>().ok());
            return assert!(
                (1..=text.lines().count() + 1).contains(&line.expect("the message has a line number")),
                "{error}"
            );
        }
    };
    // A JSON string is also a TOML string, except for one character.
    let quoted = |text: &str| serde_json::to_string(text).unwrap().replace('\u{7f}', "\\u007f");
    let keys = |table: &Layer| -> String {
        let keys = "url host port user database engine region profile role_arn via ca min_ttl cache timeout".split(' ');
        keys.filter_map(|key| Some(format!("{key} = {}\n", quoted(table.text(key)?)))).collect()
    };
    let mut printed = format!("[defaults]\n{}", keys(&config.defaults));
    for (name, table) in &config.targets {
        assert!(TargetSpec::is_name(name) && !name.starts_with('-'), "{name}");
        printed += &format!("[target.{}]\n{}", quoted(name), keys(table));
    }
    assert_eq!(parse(&printed).expect(&printed), config);
}

/// `~/.aws/config`, `--profile` and `--role-arn`, with a credentials file that has a secret.
fn profile(data: &[u8]) {
    let [text, name, role] = fields(data);
    // Use a file system in memory, if the machine has one.
    let shm = Path::new("/dev/shm");
    let directory = tempfile::tempdir_in(if shm.is_dir() { shm } else { Path::new("/tmp") }).unwrap();
    let [config, credentials] = ["config", "credentials"].map(|name| directory.path().join(name));
    let keys = format!("[base]\naws_access_key_id = AKID\naws_secret_access_key = {CANARY}\n");
    std::fs::write(&credentials, keys).unwrap();
    let find = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let vars = [("AWS_CONFIG_FILE", &config), ("AWS_SHARED_CREDENTIALS_FILE", &credentials)];
        let mut vars: Vec<_> = vars.map(|(name, path)| (name.into(), path.clone().into_os_string())).into();
        vars.push(("AWS_EC2_METADATA_DISABLED".into(), "true".into()));
        let env = Env::with_vars(vars);
        let profiles = ProfileFiles::new(env.deadline(Duration::from_secs(60)));
        let (profile, role) = (non_empty(&name), non_empty(&role));
        let choice = Choice { profile: profile.as_deref(), role_arn: role.as_deref(), ..Choice::default() };
        Identity::find(&env, &profiles, choice)
    };
    match find(&text) {
        Ok(identity) => {
            assert!(!format!("{identity:?}{}", identity.describe()).contains(CANARY) || text.contains(CANARY));
            let lines = format!("{text}\n");
            let is_stable = find(&lines).is_ok_and(|again| again.fingerprint() == identity.fingerprint());
            // The identity does not depend on other profiles in the file.
            if is_stable {
                let more = find(&format!("{lines}[profile unrelated-neighbour]\nregion = x\n"));
                assert_eq!(more.expect("an unrelated profile causes no error").fingerprint(), identity.fingerprint());
            }
        }
        Err(error) => {
            assert_harmless(&error);
            assert!(!error.to_string().contains(CANARY) || text.contains(CANARY), "{error}");
        }
    }
}

/// Flavor, user, database, token, CA file, directory of the user's own option file, `--via`.
fn option_file(data: &[u8]) {
    let [flavor, user, database, token, ca, include, via] = fields(data);
    let flavor = match flavor.as_str() {
        "mysql" => Flavor::Mysql,
        "mariadb" => Flavor::Mariadb,
        _ => Flavor::Library,
    };
    let Some(target) = sample(&user, &database, Engine::Mariadb) else { return };
    let Some(token) = secret(&token) else { return };
    let via = Via::parse(&via).ok();
    let include = non_empty(&include).map(|home| format!("/{home}/.my.cnf"));
    let file = OptionFile {
        target: &target,
        via: via.as_ref(),
        ca: Path::new(&ca),
        include: include.as_ref().map(Path::new),
        flavor,
        max_line: flavor.max_line(),
        password: PasswordIn::File,
        kind: PasswordKind::Token,
    };
    let text = match file.render(&token) {
        Ok(text) => text,
        Err(error) => return assert_harmless(&error),
    };
    assert!(flavor == Flavor::Mysql || text.lines().all(|line| line.len() <= 4_094), "a line is too long");
    let host = via.as_ref().map_or(HOST, |via| &via.host);
    let mut expected = vec![
        ("client", "host", host),
        ("client", "user", &user),
        ("client", "password", token.expose()),
        ("client", "ssl-ca", &ca),
    ];
    if let Some(include) = &include {
        expected.insert(0, ("", "!include", include));
    }
    let group = if flavor == Flavor::Library { "client" } else { "mysql" };
    expected.extend(target.database.as_ref().map(|name| (group, "database", name.as_str())));
    if flavor == Flavor::Library {
        expected.push(("connector_python", "password", token.expose()));
        expected.push(("connector_python", "auth_plugin", "mysql_clear_password"));
        expected.push(("connector_python", "ssl_verify_cert", "True"));
        expected.extend(via.is_none().then_some(("connector_python", "ssl_verify_identity", "True")));
    }
    // The values of these options do not depend on the input.
    let fixed = ["port", "protocol", "ssl-mode", "ssl-verify-server-cert", "skip-ssl-verify-server-cert"];
    let is_fixed = |name: &str| fixed.contains(&name) || name.ends_with("enable-cleartext-plugin");
    let options = read_options(&text);
    let options = options.iter().filter(|(_, name, _)| !is_fixed(name));
    let options: Vec<_> = options.map(|(group, name, value)| (group.as_str(), name.as_str(), value.as_str())).collect();
    assert_eq!(options, expected);
    assert_heading(&text, &target);
}

/// Group, name and value of every option, as `mysys/my_default.c` reads them.
fn read_options(text: &str) -> Vec<(String, String, String)> {
    let mut group = "";
    let mut options = Vec::new();
    for line in text.split('\n').map(|line| line.trim_matches(' ')) {
        if line.is_empty() || line.starts_with(['#', ';']) {
        } else if let Some(path) = line.strip_prefix("!include ") {
            options.push((group.to_owned(), "!include".to_owned(), path.trim().to_owned()));
        } else if let Some(name) = line.strip_prefix('[') {
            group = name.split(']').next().unwrap();
        } else {
            let line = without_comment(line);
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            options.push((group.to_owned(), name.trim().to_owned(), unquoted(value.trim())));
        }
    }
    options
}

/// The line without its comment, which begins with a `#` outside quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut is_escaped) = (None, false);
    for (index, c) in line.char_indices() {
        match c {
            '\'' | '"' if !is_escaped && quote.is_none_or(|open| open == c) => {
                quote = if quote.is_none() { Some(c) } else { None };
            }
            '#' if quote.is_none() => return &line[..index],
            _ => {}
        }
        is_escaped = quote.is_some() && c == '\\' && !is_escaped;
    }
    line
}

/// The value without quotes and escapes.
fn unquoted(value: &str) -> String {
    let pair = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    let mut characters = pair('"').or_else(|| pair('\'')).unwrap_or(value).chars();
    let mut plain = String::new();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('b') => plain.push('\x08'),
            Some('s') => plain.push(' '),
            Some(c @ ('"' | '\'' | '\\')) => plain.push(c),
            Some(c) => plain.extend(['\\', c]),
            None => plain.push('\\'),
        }
    }
    plain
}

fn assert_heading(text: &str, target: &Target) {
    let port = target.port.to_string();
    let expected = (target.user.as_str(), target.host.as_str(), port.as_str(), target.region.as_str());
    assert_eq!(read_heading(text), Some(expected));
}

/// User, token, `--via`.
fn passfile(data: &[u8]) {
    let [user, token, via] = fields(data);
    let Some(target) = sample(&user, "", Engine::Postgres) else { return };
    let Some(token) = secret(&token) else { return };
    let via = Via::parse(&via).ok();
    let text = render_passfile(&target, via.as_ref(), None, &token);
    assert_heading(&text, &target);
    let lines: Vec<Vec<String>> = text.split_terminator('\n').skip(1).map(passfile_fields).collect();
    let port = via.as_ref().map_or(5432, |via| via.port).to_string();
    let hosts = [Some(HOST), via.as_ref().map(|via| via.host.as_str())];
    let expected = hosts.iter().flatten().map(|host| [host, port.as_str(), "*", &user, token.expose()]);
    assert_eq!(lines, expected.collect::<Vec<_>>());
}

/// Splits a line as `passwordFromFile` in libpq's fe-connect.c does.
fn passfile_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().unwrap().extend(characters.next()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

/// Engine, user, database, token, CA file, `--via`.
fn url(data: &[u8]) {
    let [engine, user, database, token, ca, via] = fields(data);
    let engine = match engine.as_str() {
        "mysql" => Engine::Mysql,
        "mariadb" => Engine::Mariadb,
        _ => Engine::Postgres,
    };
    let Some(target) = sample(&user, &database, engine) else { return };
    let Some(token) = secret(&token) else { return };
    let via = Via::parse(&via).ok();
    let url = match Url::new(&target, engine, via.as_ref(), Path::new(&ca)) {
        Ok(url) => url.render(&token),
        Err(error) => return assert_harmless(&error),
    };
    assert_eq!(engine, Engine::Postgres, "{url}");
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
    // RFC 3986: the authority ends at the first `/`, the path at the first `?`.
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, rest) = rest.split_once('/').unwrap();
    let (path, query) = rest.split_once('?').unwrap();
    let (login, address) = authority.split_once('@').unwrap();
    let (login, password) = login.split_once(':').unwrap();
    assert_eq!(scheme, "postgresql");
    assert_eq!((decoded(login), decoded(password)), (user, token.expose().clone()));
    assert_eq!(address, format!("{HOST}:{}", via.as_ref().map_or(target.port, |via| via.port)));
    assert_eq!(decoded(path), target.database.unwrap_or_default());
    let pairs: Vec<(&str, String)> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, decoded(value))).collect();
    let tls = [("sslmode", "verify-full"), ("sslrootcert", &ca), ("gssencmode", "disable")];
    assert_eq!(pairs[..3], tls.map(|(name, value)| (name, value.to_owned())), "{url}");
    assert_eq!(pairs.len(), 3 + usize::from(via.is_some()), "{url}");
}

/// User, token, time.
fn json(data: &[u8]) {
    let [user, token, time] = fields(data);
    let Some(target) = sample(&user, "", Engine::Mysql) else { return };
    let text = render_json(&target, &Secret::new(token.clone()), &time, Duration::from_secs(7), TokenSource::Cache);
    assert!(!text.contains(|c: char| c < ' '), "{text}");
    let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(read.len() == 9 && read.values().all(serde_json::Value::is_string), "{text}");
    assert_eq!((&read["user"], &read["token"], &read["expires_at"]), (&user.into(), &token.into(), &time.into()));
}

/// The value of a variable.
fn environment(data: &[u8]) {
    let [value] = fields(data);
    for shell in Shell::ALL {
        match shell.set("PGUSER", &value) {
            Ok(line) => assert_eq!((read_variable(shell, &line), line.matches('\n').count()), (value.clone(), 1)),
            Err(error) => {
                assert_harmless(&error);
                // Every format accepts a token of ordinary length.
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%&=:/?".contains(&byte);
                assert!(value.len() > 4_000 || !value.bytes().all(is_plain), "{shell:?} refused {value:?}");
                let is_narrow = matches!(shell, Shell::Cmd | Shell::Dotenv | Shell::Gitlab);
                assert!(is_narrow || value.contains(char::is_control), "{shell:?} refused {value:?}");
            }
        }
    }
}

/// The value that a shell reads from a line that sets PGUSER, according to the shell's documentation. tests/shells.rs
/// tests the real shells.
fn read_variable(shell: Shell, line: &str) -> String {
    let between = |start: &str, end: &str| {
        line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    match shell {
        Shell::Sh | Shell::Bash | Shell::Zsh => unquoted_by_posix(&between("export PGUSER=", ";\n")),
        // "Quotes": \' and \\ are the only escapes in single quotes.
        Shell::Fish => unescaped(&between("set -gx PGUSER '", "';\n"), &['\'', '\\'], '\''),
        // about_Quoting_Rules: a doubled quote is a quote. The language specification has five quote characters.
        Shell::Powershell => {
            let (mut value, text) = (String::new(), between("$env:PGUSER = '", "';\n"));
            let mut characters = text.chars();
            while let Some(c) = characters.next() {
                value.push(c);
                if "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(c) {
                    assert_eq!(characters.next(), Some(c), "{line}");
                }
            }
            value
        }
        // "Working with strings": double-quoted strings have the escapes of C. `$` is special in $"…" only.
        Shell::Nushell => unescaped(&between("$env.PGUSER = \"", "\";\n"), &['"', '\\'], '"'),
        // In a batch file %% is %. No other character is special in quotes.
        Shell::Cmd => {
            let text = between("set \"PGUSER=", "\"\n");
            assert!(!text.contains('"') && !text.replace("%%", "").contains('%'), "{line}");
            assert!(line.encode_utf16().count() <= 8_191, "the line is too long");
            text.replace("%%", "%")
        }
        // Docker reads the line literally, but systemd and dotenv interpret quotes, comments and escapes.
        Shell::Dotenv | Shell::Gitlab => {
            let text = between("PGUSER=", "\n");
            assert!(!text.contains(['\'', '"', '`', '\\', '$', '#', ' ', ';', '!']), "{line}");
            text
        }
        Shell::Github => between("PGUSER=", "\n"),
    }
}

/// The text without quotes, as POSIX defines it. 2.2.2: no character is special up to the next quote. 2.2.1: outside
/// quotes, a backslash escapes a character.
fn unquoted_by_posix(text: &str) -> String {
    let (mut value, mut is_quoted, mut characters) = (String::new(), false, text.chars());
    while let Some(c) = characters.next() {
        match c {
            '\'' => is_quoted = !is_quoted,
            _ if is_quoted => value.push(c),
            '\\' => value.extend(characters.next()),
            _ => panic!("{c:?} is not quoted in {text}"),
        }
    }
    assert!(!is_quoted, "{text}");
    value
}

/// The text with backslash escapes resolved. Panics at `end` and at other escapes.
fn unescaped(text: &str, escapes: &[char], end: char) -> String {
    let (mut value, mut characters) = (String::new(), text.chars());
    while let Some(c) = characters.next() {
        assert_ne!(c, end, "{text}");
        value.push(match c {
            '\\' => characters.next().filter(|c| escapes.contains(c)).unwrap_or_else(|| panic!("{text}")),
            c => c,
        });
    }
    value
}

/// User and database.
fn sql(data: &[u8]) {
    let [user, database] = fields(data);
    for engine in [Engine::Mysql, Engine::Mariadb, Engine::Postgres] {
        let Some(target) = sample(&user, &database, engine) else { continue };
        for access in [Access::ReadWrite, Access::ReadOnly] {
            let account = DatabaseUser { name: &user, database: target.database.as_deref(), access };
            let text = match account.render(engine) {
                Ok(text) => text,
                Err(error) => {
                    assert_harmless(&error);
                    continue;
                }
            };
            if engine == Engine::Postgres {
                assert_postgres_statements(&text, &user, target.database.as_deref());
            } else {
                assert_mysql_statements(&text, &user, target.database.as_deref());
            }
        }
    }
}

fn assert_mysql_statements(text: &str, user: &str, database: Option<&str>) {
    // MySQL, with and without NO_BACKSLASH_ESCAPES.
    for has_escapes in [true, false] {
        let mut names = Vec::new();
        for token in read_sql(text, Dialect::Mysql { has_escapes }) {
            match token {
                Token::Identifier(name) => names.push(name),
                Token::Text(text) => assert!(["%", "RDS"].contains(&text.as_str()), "{text}"),
                Token::Body(text) => panic!("{text}"),
            }
        }
        let mut expected = vec![user.to_owned(), user.to_owned()];
        if let Some(database) = database {
            let pattern: String =
                database.chars().flat_map(|c| "\\_%".contains(c).then_some('\\').into_iter().chain([c])).collect();
            expected.extend([pattern, user.to_owned()]);
        }
        assert_eq!(names, expected, "{text}");
    }
}

fn assert_postgres_statements(text: &str, user: &str, database: Option<&str>) {
    for has_escapes in [true, false] {
        let dialect = Dialect::Postgres { has_escapes };
        let (mut names, mut texts) = (Vec::new(), Vec::new());
        for token in read_sql(text, dialect) {
            match token {
                Token::Identifier(name) => names.push(name),
                Token::Text(text) => texts.push(text),
                Token::Body(body) => {
                    for token in read_sql(&body, dialect) {
                        match token {
                            Token::Identifier(name) => names.push(name),
                            Token::Text(text) => texts.push(text),
                            Token::Body(body) => panic!("{body}"),
                        }
                    }
                }
            }
        }
        let mut expected = vec![user, user];
        expected.extend(database.into_iter().flat_map(|database| [database, user, user, user, user]));
        assert_eq!(names, expected, "{text}");
        let values: Vec<&str> = texts.iter().map(String::as_str).filter(|text| *text != "UTF8").take(2).collect();
        assert_eq!(values, database.map_or(vec![], |database| vec![user, database]), "{text}");
    }
}

/// The rules for quotes in SQL.
#[derive(Clone, Copy)]
enum Dialect {
    /// `has_escapes` is false with `NO_BACKSLASH_ESCAPES`.
    Mysql { has_escapes: bool },
    /// `has_escapes` is false with `standard_conforming_strings`.
    Postgres { has_escapes: bool },
}

/// A quoted part of SQL.
enum Token {
    Identifier(String),
    Text(String),
    /// A dollar-quoted string.
    Body(String),
}

/// The quoted parts, as the scanners of the servers read them (`sql/sql_lex.cc` in MySQL, `scan.l` in PostgreSQL).
fn read_sql(text: &str, dialect: Dialect) -> Vec<Token> {
    let is_mysql = matches!(dialect, Dialect::Mysql { .. });
    let (Dialect::Mysql { has_escapes } | Dialect::Postgres { has_escapes }) = dialect;
    let mut tokens = Vec::new();
    let (mut rest, mut before) = (text, ' ');
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if first == '$' && !is_mysql {
            let tag = &rest[..rest[1..].find('$').expect("the end of a tag") + 2];
            let (body, after) = rest[tag.len()..].split_once(tag).expect("the end of a dollar-quoted string");
            tokens.push(Token::Body(body.to_owned()));
            rest = after;
        } else if "'\"`".contains(first) {
            let is_text = first == '\'' || (first == '"' && is_mysql);
            let (value, after) = read_quoted(rest, is_text && (has_escapes || (before == 'E' && !is_mysql)));
            tokens.push(if is_text { Token::Text(value) } else { Token::Identifier(value) });
            rest = after;
        } else {
            rest = &rest[first.len_utf8()..];
        }
        before = first;
    }
    tokens
}

/// The value of the quoted text at the start, and the text after it.
fn read_quoted(text: &str, has_escapes: bool) -> (String, &str) {
    let quote = text.chars().next().unwrap();
    let mut chars = text.char_indices().skip(1).peekable();
    let mut value = String::new();
    while let Some((index, c)) = chars.next() {
        if c == '\\' && has_escapes {
            value.extend(chars.next().map(|(_, c)| c));
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return (value, &text[index + 1..]);
        } else {
            value.push(c);
        }
    }
    panic!("a quote is not closed: {text}");
}
