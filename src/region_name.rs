//! The form of the name of a region.

/// Maximum length of a name, in bytes: that of a label in a host name.
const MAX_LENGTH: usize = 63;

/// Whether `name` can be the name of a region: one label of a host name, in lower case.
pub(crate) fn is_region_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= MAX_LENGTH && name.bytes().all(is_valid)
}
