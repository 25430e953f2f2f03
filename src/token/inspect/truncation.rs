//! The limits of programs that truncate passwords.

use super::finding::Finding;

/// The programs, by the length of a truncated password in bytes.
///
/// Sources: `get_tty_password` in MySQL and MariaDB, `password[100]` in psql before 14, `pam_exec`, the option-file
/// reader of MariaDB (4,096 bytes with the end of the line), `N_TTY_BUF_SIZE` of Linux and `MAX_CANON` of macOS.
const LIMITS: [(std::ops::RangeInclusive<usize>, &str); 6] = [
    (79..=79, "the password prompt of the MySQL and MariaDB clients reads 79 bytes; use `rds-token connect`"),
    (99..=99, "the password prompt of psql before 14 reads 99 bytes; use `rds-token connect`"),
    (511..=512, "pam_exec reads 511 bytes; use another PAM module"),
    (1_023..=1_024, "a terminal on macOS reads lines of 1,024 bytes; pass the token through a pipe"),
    (4_080..=4_094, "MariaDB's clients read 4,094 characters of a line in an option file; use `rds-token connect`"),
    (4_095..=4_096, "a terminal on Linux reads lines of 4,095 bytes; pass the token through a pipe"),
];

/// Returns the finding for a truncated token with `length` bytes and `count` parameters.
pub(super) fn report_truncation(length: usize, count: usize) -> Finding {
    let problem = format!("the token has no complete signature: it ends after {length} bytes");
    let limit = LIMITS.iter().find(|(range, _)| range.contains(&length)).map(|(_, limit)| *limit);
    let remedy = match limit {
        Some(limit) => limit,
        None if count == 1 => "quote the token with '…', because an unquoted word ends at the first '&' in a shell",
        None => "use a program that accepts passwords of this length; a token has from 350 to several thousand bytes",
    };
    Finding::error("truncated", problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_limits_are_named() {
        for (length, count, expected) in [
            (79, 3, "MySQL and MariaDB"),
            (99, 3, "psql before 14"),
            (511, 8, "pam_exec"),
            (4_084, 8, "option file"),
            (4_095, 8, "a terminal on Linux"),
            (60, 1, "unquoted word"),
            (60, 2, "passwords of this length"),
        ] {
            let finding = report_truncation(length, count);
            assert!(finding.remedy.contains(expected), "{length}: {finding:?}");
            assert!(finding.problem.ends_with(&format!("after {length} bytes")), "{finding:?}");
        }
    }
}
