//! The properties that `make fuzz` tests, applied to the inputs in fuzz/corpus: seeds, and every input that once broke
//! a property.

use std::path::Path;

use crate::properties::ALL;

/// The stored inputs of one property.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let inputs: Vec<Vec<u8>> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(inputs.len() >= 3, "{name}: only {} inputs", inputs.len());
    inputs
}

#[test]
fn stored_inputs_break_no_property() {
    for (name, property) in ALL {
        for input in corpus(name) {
            property(&input);
        }
    }
}

/// Combines parts of the stored inputs with special characters.
#[test]
fn mutations_of_stored_inputs_break_no_property() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let special: Vec<char> =
        "'\"\\ $`%!#&|;<>()[]{}*?~^=:@,+-_./aZ0é日\u{a0}\u{2018}\u{2019}\u{201a}\u{201b}\u{2028}\u{202e}\t\r\n"
            .chars()
            .collect();
    for (name, property) in ALL {
        let inputs = corpus(name);
        for round in 0..400 {
            let mut input = random.choice(&inputs).unwrap().clone();
            for _ in 0..random.usize(1..4) {
                let start = random.usize(..=input.len());
                let end = random.usize(start..=input.len()).min(start + 4);
                let other = random.choice(&inputs).unwrap();
                let from = random.usize(..=other.len());
                let patch: Vec<u8> = match random.u8(..4) {
                    0 => other[from..].iter().take(20).copied().collect(),
                    1 => vec![0xff],
                    _ => random.choice(&special).unwrap().to_string().into_bytes(),
                };
                input.splice(start..end, patch);
            }
            // A failure names the input.
            let escaped = input.escape_ascii().to_string();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| property(&input)));
            assert!(outcome.is_ok(), "{name}, seed {seed}, round {round}: {escaped}");
        }
    }
}
