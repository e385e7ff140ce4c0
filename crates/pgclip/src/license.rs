//! Licenses of weights that forbid commercial use.

use clip_core::{Error, ErrorKind, Result};

/// Whether a license of the hub's list, or of a card's `license_name:`, forbids commercial use.
///
/// Creative Commons' NC licenses and whatever calls itself non-commercial. Apple's research license grants use "exclusively for
/// Research Purposes", which are "non-commercial"; Intel's is for research alone, too. Apple's sample code license is none of these.
pub fn forbids_commercial_use(license: &str) -> bool {
    let license = license.to_ascii_lowercase();
    license.starts_with("cc-by-nc")
        || ["noncommercial", "non-commercial", "apple-amlr", "apple-ml-research", "intel-research"]
            .iter()
            .any(|part| license.contains(part))
}

/// Fails unless the license allows commercial use, or the user has accepted it. `place` says where its text is.
pub fn check(license: &str, forbids: bool, accepted: bool, place: &str) -> Result<()> {
    if accepted || !(forbids || forbids_commercial_use(license)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("the license of this model, {license}, forbids commercial use"))
        .with_hint(format!("Read it {place}. With --accept-license the model is installed.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licenses_that_forbid_commercial_use() {
        for license in [
            "cc-by-nc-4.0",
            "CC-BY-NC-SA-4.0",
            "cc-by-nc-nd-3.0",
            "apple-amlr",
            "fair-noncommercial-research-license",
            "intel-research",
            "polyform-noncommercial-1.0.0",
        ] {
            assert!(forbids_commercial_use(license), "{license}");
        }
        for license in
            ["mit", "apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "apple-ascl", "openrail", "unknown", "other", ""]
        {
            assert!(!forbids_commercial_use(license), "{license}");
        }
    }

    #[test]
    fn accepted_or_not() {
        assert!(check("mit", false, false, "there").is_ok());
        assert!(check("cc-by-nc-4.0", false, true, "there").is_ok());
        let error = check("cc-by-nc-4.0", false, false, "in LICENSE").unwrap_err();
        assert_eq!(error.message, "the license of this model, cc-by-nc-4.0, forbids commercial use");
        assert_eq!(error.hint.unwrap(), "Read it in LICENSE. With --accept-license the model is installed.");
        assert!(check("unknown", true, false, "there").is_err(), "the list of known models says so");
    }
}
