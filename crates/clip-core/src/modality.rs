//! What an input is. A model puts inputs of all modalities into one space.

use std::fmt;

/// What an input is. A model has one tower for each modality, and both lead into one space.
///
/// The order is the one in which listings show them. The numbers are kept in memory that processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Modality {
    /// UTF-8 text, which the text tower embeds.
    Text,
    /// An encoded picture, which the vision tower embeds.
    Image,
}

impl Modality {
    /// Every modality, in the order of listings.
    pub const ALL: [Self; 2] = [Self::Text, Self::Image];

    /// In lower case, as SQL and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
        }
    }

    /// The modality of that [name](Modality::name). `None` for any other, upper case included.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|modality| modality.name() == name)
    }

    /// The modality whose number, as in `modality as u8`, this is. `None` for a number that none has.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|modality| *modality as u8 == number)
    }

    /// All names as a sentence lists them: `text or image`.
    pub fn names() -> String {
        let (last, others) = (Self::ALL[Self::ALL.len() - 1], &Self::ALL[..Self::ALL.len() - 1]);
        let others: Vec<_> = others.iter().map(|modality| modality.name()).collect();
        format!("{} or {last}", others.join(", "))
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Modality;

    #[test]
    fn every_modality_is_found_by_its_name_and_number() {
        for modality in Modality::ALL {
            assert_eq!(Modality::from_name(modality.name()), Some(modality));
            assert_eq!(Modality::from_number(modality as u8), Some(modality));
        }
        assert_eq!(Modality::from_name("Text"), None);
        assert_eq!(Modality::from_number(Modality::ALL.len() as u8), None);
        assert_eq!(Modality::names(), "text or image");
    }
}
