//! Suggestions for misspelled names.

/// Returns the item of `valid` that is most similar to `name`. `None` if none is similar enough.
pub(crate) fn nearest<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler similarity is too low for transposed letters in short words.
    let is_typo = |other: &str| name.len() > 2 && strsim::osa_distance(name, other) == 1;
    let similarity = |other: &&'a str| strsim::jaro_winkler(name, other).max(if is_typo(other) { 0.9 } else { 0.0 });
    let best = valid.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&best) > 0.7).then_some(best)
}
