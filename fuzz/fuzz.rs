//! A fuzzer for the properties in tests/properties.rs. The variable `PROPERTY` names the property. See `make fuzz`.

#![no_main]

#[path = "../tests/properties.rs"]
mod properties;

use std::sync::LazyLock;

static PROPERTY: LazyLock<properties::Property> = LazyLock::new(|| {
    let name = std::env::var("PROPERTY").unwrap_or_default();
    let property = properties::ALL.iter().find(|(known, _)| *known == name);
    property.unwrap_or_else(|| panic!("PROPERTY='{name}' is not a property of tests/properties.rs")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| PROPERTY(data));
