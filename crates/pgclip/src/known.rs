//! Models that are known by a short name: `models/registry.toml`, built in.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clip_core::{Error, ErrorKind, Result};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What `pull` takes, and the name that it installs the model under.
    pub name: String,
    /// `ORG/NAME` on the hub.
    pub repository: String,
    /// Branch, tag or commit [default: main].
    pub revision: Option<String>,
    /// Of files at that revision.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// As the repository's card states it.
    pub license: Option<String>,
    pub family: String,
    pub vision: String,
    pub dimensions: usize,
    pub image_size: usize,
    pub context: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    model: Vec<Known>,
}

static REGISTRY: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let text = include_str!("../../../models/registry.toml");
    // Built in, and read by a test.
    toml::from_str::<Registry>(text).map(|registry| registry.model).unwrap_or_default()
});

pub fn find(name: &str) -> Result<&'static Known> {
    REGISTRY.iter().find(|known| known.name == name).ok_or_else(|| {
        Error::new(ErrorKind::UnknownModel, format!("no model is known as \"{name}\""))
            .with_hint("\"pgclip known\" lists the names. Any other model is ORG/NAME.")
    })
}

/// Prints the list.
pub fn list() {
    println!(
        "{:<36} {:<8} {:<10} {:>10} {:>6} {:>7}  {:<11} repository",
        "name", "family", "vision", "dimensions", "pixels", "tokens", "license"
    );
    for known in REGISTRY.iter() {
        println!(
            "{:<36} {:<8} {:<10} {:>10} {:>6} {:>7}  {:<11} {}",
            known.name,
            known.family,
            known.vision,
            known.dimensions,
            known.image_size,
            known.context,
            known.license.as_deref().unwrap_or("not stated"),
            known.repository
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clip_core::ModelDir;

    use super::*;

    #[test]
    fn registry_is_sound() {
        let registry: Registry = toml::from_str(include_str!("../../../models/registry.toml")).unwrap();
        let names: BTreeSet<&str> = registry.model.iter().map(|known| known.name.as_str()).collect();
        assert_eq!(names.len(), registry.model.len(), "a name twice");
        assert_eq!(REGISTRY.len(), names.len());
        for known in &registry.model {
            ModelDir::check_name(&known.name).unwrap();
            let (_, name) = known.repository.split_once('/').unwrap();
            assert_eq!(known.name, name.to_lowercase(), "the short name is the repository's");
            assert!(known.dimensions <= 2000, "pgvector's HNSW index holds no more in a vector");
            assert_eq!(known.image_size % 2, 0);
            let is_hex = |s: &str, length| s.len() == length && s.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(known.revision.as_deref().is_none_or(|revision| is_hex(revision, 40)), "a commit, which stays");
            assert!(known.sha256.is_empty() || known.revision.is_some(), "checksums without a revision");
            assert!(known.sha256.values().all(|sha256| is_hex(sha256, 64)));
        }
    }
}
