//! What has to be told of an image beside its embedding.

use std::path::Path;

use clip_core::image::Remarks;

/// On standard error, where there is anything.
pub fn warn(path: &Path, remarks: Remarks) {
    if let Some(format) = remarks.incomplete {
        eprintln!(
            "pgclip: {}: {} image is truncated or damaged, embedded as far as it can be decoded",
            path.display(),
            format.name()
        );
    }
    if remarks.clipped {
        eprintln!("pgclip: {}: grey levels were cut to 0 to 255, see --gray16", path.display());
    }
}
