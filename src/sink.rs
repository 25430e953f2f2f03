//! The forms that a token is handed out in, one file each. A sink escapes what it is given, or refuses
//! it; none does I/O.

pub mod json;
pub mod url;
