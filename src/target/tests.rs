//! Tables of valid and invalid targets.

use crate::error::Error;
use crate::target::{Engine, Region, Target, TargetSpec};

const HOST: &str = "db.abc123.eu-west-1.rds.amazonaws.com";

fn validate(text: &str) -> Result<Target, Error> {
    Ok(TargetSpec::parse(text)?.with_defaults().validate(None, || Ok(None))?.0)
}

fn message(text: &str) -> String {
    let error = validate(text).expect_err(text);
    assert_eq!(error.exit, crate::error::ExitCode::Usage);
    error.to_string()
}

#[test]
fn every_form_of_a_target_is_parsed() {
    for (text, user, port, database, engine) in [
        (format!("u@{HOST}:3306"), "u", 3306, None, Some(Engine::Mysql)),
        (format!("u@{}:3306", HOST.to_uppercase()), "u", 3306, None, Some(Engine::Mysql)),
        (format!("jane.doe@corp@{HOST}:5432/Ex"), "jane.doe@corp", 5432, Some("Ex"), Some(Engine::Postgres)),
        (format!("a/b:c@{HOST}:3307"), "a/b:c", 3307, None, None),
        (format!("mysql://u@{HOST}/Ex"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
        (format!("mariadb://u@{HOST}"), "u", 3306, None, Some(Engine::Mariadb)),
        (format!("postgres://u%40x@{HOST}/a%2Fb"), "u@x", 5432, Some("a/b"), Some(Engine::Postgres)),
        (format!("postgresql://u@{HOST}:6543/"), "u", 6543, None, Some(Engine::Postgres)),
        (format!("mysql://u:secret@{HOST}/Ex?ssl=1#x"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
        (format!("mysql2://u:a:b@{HOST}?pool=5"), "u", 3306, None, Some(Engine::Mysql)),
        (format!("mysql+pymysql://u@{HOST}/Ex?charset=utf8mb4"), "u", 3306, Some("Ex"), Some(Engine::Mysql)),
        (format!("postgresql+psycopg://u%40x:p%40w@{HOST}"), "u@x", 5432, None, Some(Engine::Postgres)),
        (
            format!("jdbc:mysql://{HOST}:3307/Ex?a=b&user=j%20d&password=x@y"),
            "j d",
            3307,
            Some("Ex"),
            Some(Engine::Mysql),
        ),
        (format!("jdbc:mariadb://u@{HOST}/?user=other"), "u", 3306, None, Some(Engine::Mariadb)),
        (format!("jdbc:aws-wrapper:postgresql://{HOST}/Ex?user=u"), "u", 5432, Some("Ex"), Some(Engine::Postgres)),
    ] {
        let target = validate(&text).expect(&text);
        assert_eq!((target.host.as_str(), target.region.as_str()), (HOST, "eu-west-1"), "{text}");
        assert_eq!((target.user.as_str(), target.port), (user, port), "{text}");
        assert_eq!((target.database.as_deref(), target.engine), (database, engine), "{text}");
    }
}

#[test]
fn errors_name_the_invalid_part() {
    for (text, part) in [
        (format!("u@{HOST}"), "there is no port"),
        (format!("{HOST}:3306"), "there is no user"),
        ("u@:3306".to_owned(), "host '' is empty"),
        (format!("u@{HOST}:"), "port ''"),
        (format!("u@{HOST}:0"), "port '0'"),
        (format!("u@{HOST}:03306"), "port '03306'"),
        (format!("u@{HOST}:+3306"), "port '+3306'"),
        (format!("u@{HOST}:65536"), "port '65536'"),
        (format!("u@{HOST}:3306:1"), "port '3306:1'"),
        (format!("u@{HOST}.:3306"), "empty label"),
        ("u@db..rds.amazonaws.com:3306".to_owned(), "empty label"),
        (format!("u@{}.com:3306", "a".repeat(64)), "label longer than 63"),
        (format!("u@{}com:3306", "a.".repeat(130)), "longer than 253"),
        ("u@a\nb.com:3306".to_owned(), "host 'a\\nb.com'"),
        ("u@dbé.com:3306".to_owned(), "host 'dbé.com'"),
        ("u@[::1]:3306".to_owned(), "host '['"),
        (format!("a\nb@{HOST}:3306"), "user 'a\\nb'"),
        (format!("@{HOST}:3306"), "user '' is empty"),
        (format!("{}@{HOST}:3306", "u".repeat(81)), "longer than the 80"),
        (format!("{}@{HOST}:5432", "é".repeat(32)), "longer than the 63"),
        (format!("u@{HOST}:3306/"), "database '' is empty"),
        (format!("u@{HOST}:3306/a\tb"), "database 'a\\tb'"),
        (format!("jdbc:oracle://u@{HOST}"), "scheme 'jdbc:oracle'"),
        (format!("mysqlx://u@{HOST}"), "scheme 'mysqlx'"),
        (format!("mysql://u:sec/ret@{HOST}"), "has an '@' after"),
        (format!("mysql://u:sec?ret@{HOST}/d"), "has an '@' after"),
        (format!("mysql://u@{HOST}/a@b"), "has an '@' after"),
        (format!("jdbc:mysql://u:secret#1@{HOST}/"), "has an '@' after"),
        ("mysql://u:secret/db".to_owned(), "is not a port"),
        ("jdbc:mysql://address=(host=h)(password=secret)/db".to_owned(), "host 'address=…'"),
        (format!("jdbc:mysql://{HOST}/d?password=secret"), "there is no user"),
        (format!("mysql://u%4@{HOST}"), "user 'u%4'"),
        (format!("mysql://u%ff@{HOST}"), "user 'u%ff'"),
        ("u@db.example.com:3306".to_owned(), "has no region in its name"),
    ] {
        let message = message(&text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains('\n') && !message.contains("secret"), "{text}: {message}");
    }
}

#[test]
fn passwords_in_urls_are_detected() {
    for (url, has_password) in [
        ("mysql://u@h/d", false),
        ("mysql://u:p@h/d", true),
        ("mysql://u:@h", true),
        ("mysql://h:3306/d?password=x", false),
        ("jdbc:mysql://h:3306/d?user=u&password=x", true),
        ("jdbc:mysql://h:3306/d?user=u", false),
        ("u:p@h:3306", false),
    ] {
        assert_eq!(crate::target::parse::has_password(url), has_password, "{url}");
    }
}

#[test]
fn a_scheme_inside_a_host_is_refused() {
    let spec = TargetSpec { host: Some("https://db.example.com".into()), ..TargetSpec::parse("u@x.y:1").unwrap() };
    let error = spec.validate(Some(Region::of_flag("eu-west-1")), || Ok(None)).unwrap_err();
    assert!(error.to_string().contains("has a scheme"), "{error}");
}

#[test]
fn the_region_is_never_guessed() {
    let at = |host: &str, explicit: Option<&str>, other: Option<&str>| {
        let spec = TargetSpec::parse(&format!("u@{host}:3306"))?;
        spec.validate(explicit.map(Region::of_flag), || Ok(other.map(Region::of_flag))).map(|(target, _)| target)
    };
    assert_eq!(at(HOST, None, Some("us-east-1")).unwrap().region, "eu-west-1");
    assert_eq!(at(HOST, Some("eu-west-1"), None).unwrap().region, "eu-west-1");
    assert!(
        at(HOST, Some("us-east-1"), None)
            .unwrap_err()
            .to_string()
            .contains("--region is us-east-1, but the host is in eu-west-1")
    );
    assert_eq!(at("db.example.com", Some("us-east-1"), None).unwrap().region, "us-east-1");
    assert_eq!(at("db.example.com", None, Some("us-east-1")).unwrap().region, "us-east-1");
    assert!(at("db.example.com", None, None).unwrap_err().to_string().contains("has no region in its name"));
    for bad in ["", "EU-WEST-1", "eu west", "eu-west-1\n", "eu/west"] {
        assert!(at("db.example.com", Some(bad), None).is_err(), "{bad:?}");
    }
}
