//! A fuzzer of the parsers and the sinks: `PROPERTY=NAME` says which of the properties in
//! tests/properties.rs is tried. See `make fuzz`.

#![no_main]

#[path = "../tests/properties.rs"]
mod properties;

use std::sync::LazyLock;

static PROPERTY: LazyLock<properties::Property> = LazyLock::new(|| {
    let name = std::env::var("PROPERTY").unwrap_or_default();
    let found = properties::ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("PROPERTY is '{name}', which is none")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| PROPERTY(data));
