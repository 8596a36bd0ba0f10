//! "Did you mean": the known word that is closest to what was written.

/// The known word nearest to `word`, if it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A word so long was not misspelt, and comparing it would take its length squared.
    if word.len() > 64 {
        return None;
    }
    let allowed = (word.chars().count() / 3).max(1);
    let near = |candidate: &'k str| {
        let possible = candidate.len().abs_diff(word.len()) <= allowed * 4;
        let distance = if possible {
            strsim::osa_distance(&plain(word), &plain(candidate))
        } else {
            usize::MAX
        };
        (distance <= allowed).then_some((distance, candidate))
    };
    known.into_iter().filter_map(near).min().map(|(_, candidate)| candidate)
}

/// A list of words as a sentence has it.
pub(super) fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    words
        .into_iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Upper case, hyphens and underscores do not make another word.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|character| !matches!(character, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_understood_and_another_word_is_not() {
        let known = ["command", "depends_on", "env"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("dependsOn", known), Some("depends_on"));
        assert_eq!(nearest("evn", known), Some("env"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest(&"c".repeat(100), known), None);
    }
}
