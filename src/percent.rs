//! Percent-encoding, as SigV4 and this program's URLs have it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// What is left as it is (RFC 3986, section 2.3); all else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `text` as it stands in a URL, everything outside `A-Za-z0-9-_.~` percent-encoded.
pub fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ENCODED)
}
