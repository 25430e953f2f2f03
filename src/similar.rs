//! Suggestions for misspelled names.

/// The name in `valid` that is most similar to `name`. `None` if no name is similar enough.
pub(crate) fn nearest<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler rates transposed letters in short words too low.
    let is_typo = |other: &str| name.len() > 2 && strsim::osa_distance(name, other) == 1;
    let similarity = |other: &&'a str| strsim::jaro_winkler(name, other).max(if is_typo(other) { 0.9 } else { 0.0 });
    let best = valid.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(&best) > 0.7).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_suggested() {
        for (name, expected) in
            [("pord", Some("prod")), ("prdo", Some("prod")), ("stage", Some("staging")), ("xyz", None), ("", None)]
        {
            assert_eq!(nearest(name, ["prod", "staging"]), expected, "{name}");
        }
        assert_eq!(nearest("prod", []), None);
    }
}
