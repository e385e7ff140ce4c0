//! Languages of texts, for models whose texts begin with a token of theirs.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// The languages of a tokenizer, each with its token. Of most models there are none.
#[derive(Debug, Default)]
pub struct Languages(BTreeMap<String, u32>);

impl Languages {
    /// Those among special tokens and their ids.
    pub fn among<'a>(tokens: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let languages = tokens.filter(|(token, _)| is_language(token));
        Self(languages.map(|(token, id)| (token.to_owned(), id)).collect())
    }

    /// Their names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The token of a language. `None`: there are no languages, and whatever is asked for does nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a language that is not among those that there are.
    pub fn token(&self, language: &str) -> Result<Option<u32>> {
        match self.0.get(language) {
            Some(id) => Ok(Some(*id)),
            None if self.0.is_empty() => Ok(None),
            None => Err(self.unknown(language)),
        }
    }

    fn unknown(&self, language: &str) -> Error {
        const FORM: &str = "Languages are named as in FLORES-200, such as eng_Latn";
        let begin: String = language.chars().take(2).flat_map(char::to_lowercase).collect();
        let alike: Vec<&str> = self.names().filter(|name| begin.len() == 2 && name.starts_with(&begin)).collect();
        let hint = match alike[..] {
            [] => format!("{FORM}. The model has {} of them.", self.0.len()),
            _ => format!("{FORM}. Of the model's {} these begin like it: {}.", self.0.len(), alike.join(", ")),
        };
        // A setting may be of any length.
        let shown: String = language.chars().take(40).collect();
        Error::new(ErrorKind::InvalidArgument, format!("the model has no language \"{shown}\"")).with_hint(hint)
    }
}

/// Is it the name of a language, as FLORES-200 and NLLB spell it: `eng_Latn`?
pub fn is_language(token: &str) -> bool {
    let form = "aaa_Aaaa";
    token.len() == form.len()
        && token.bytes().zip(form.bytes()).all(|(c, like)| match like {
            b'a' => c.is_ascii_lowercase(),
            b'A' => c.is_ascii_uppercase(),
            other => c == other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_by_their_form() {
        assert!(is_language("eng_Latn") && is_language("zho_Hans"));
        for name in ["", "en", "__en__", "eng_latn", "ENG_Latn", "eng-Latn", "eng_Latn2", "<mask>__", "ang_Latñ"] {
            assert!(!is_language(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_language_is_an_error_where_there_are_any() {
        let none = Languages::default();
        assert_eq!(none.token("de").unwrap(), None);
        let tokens = [("<s>", 0), ("eng_Latn", 5), ("deu_Latn", 6)];
        let two = Languages::among(tokens.into_iter());
        assert_eq!(two.names().collect::<Vec<_>>(), ["deu_Latn", "eng_Latn"]);
        assert_eq!(two.token("eng_Latn").unwrap(), Some(5));
        let error = two.token("DE").unwrap_err();
        assert_eq!((error.kind, &*error.message), (ErrorKind::InvalidArgument, "the model has no language \"DE\""));
        assert!(error.hint.unwrap().ends_with("Of the model's 2 these begin like it: deu_Latn."));
        for strange in ["<s>", "", "d", &"é".repeat(1000)] {
            let error = two.token(strange).unwrap_err();
            assert!(error.hint.unwrap().ends_with("The model has 2 of them.") && error.message.len() < 120);
        }
    }
}
