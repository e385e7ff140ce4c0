//! Models that are known by a short name: `models/registry.toml`, built in.

mod recommend;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::ValueEnum;
use clip_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use recommend::Machine;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What `pull` takes, and the name that it installs the model under.
    pub name: String,
    /// `ORG/NAME` on the hub.
    pub repository: String,
    /// Branch, tag or commit [default: main].
    pub revision: Option<String>,
    /// For an encoder of texts alone: the known model whose images go with it.
    pub images: Option<String>,
    /// Of files at that revision.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// As the repository's card states it.
    pub license: Option<String>,
    /// Its terms forbid commercial use.
    #[serde(default)]
    pub noncommercial: bool,
    pub family: String,
    pub vision: String,
    pub dimensions: usize,
    pub image_size: usize,
    pub context: usize,
    /// Millions, of both towers.
    pub parameters: u64,
    /// Millions, of the image tower.
    pub image_parameters: u64,
    pub languages: Languages,
    /// Published zero-shot top-1 on ImageNet-1k, in percent.
    pub accuracy: Option<f64>,
    pub r#for: Vec<Task>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Languages {
    En,
    Zh,
    Multilingual,
}

impl Languages {
    fn name(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
            Self::Multilingual => "multilingual",
        }
    }
}

/// What somebody looks for a model for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Photographs of any kind
    Photos,
    /// Products of shops
    Products,
    /// Texts in other languages than English
    Languages,
    /// Little memory and time
    Small,
    /// Pictures of medicine
    Medical,
    /// Where a photograph was taken
    Places,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    model: Vec<Known>,
}

static REGISTRY: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let text = include_str!("../../../../models/registry.toml");
    // Built in, and read by a test.
    toml::from_str::<Registry>(text).map(|registry| registry.model).unwrap_or_default()
});

pub fn find(name: &str) -> Result<&'static Known> {
    REGISTRY.iter().find(|known| known.name == name).ok_or_else(|| {
        Error::new(ErrorKind::UnknownModel, format!("no model is known as \"{name}\""))
            .with_hint("\"pgclip known\" lists the names. Any other model is ORG/NAME.")
    })
}

impl Known {
    fn license(&self) -> String {
        let license = self.license.as_deref().unwrap_or("not stated");
        format!("{license}{}", if self.noncommercial { ", not commercial" } else { "" })
    }

    fn accuracy(&self) -> String {
        self.accuracy.map_or_else(|| "-".into(), |percent| format!("{percent:.1}"))
    }
}

/// Prints the list, or of it what is meant for a task, and which model suits this machine.
pub fn list(task: Option<Task>, as_json: bool) {
    let models: Vec<&Known> =
        REGISTRY.iter().filter(|known| task.is_none_or(|task| known.r#for.contains(&task))).collect();
    let machine = Machine::here();
    let recommended = machine.recommend(&models);
    if as_json {
        let recommended = recommended.map(|known| {
            json!({
                "name": known.name,
                "milliseconds": machine.milliseconds(known).round(),
                "cores": machine.cores,
                "memory": machine.memory,
            })
        });
        println!("{:#}", json!({"models": models, "recommended": recommended}));
        return;
    }
    let width = models.iter().map(|known| known.name.len()).max().unwrap_or_default();
    println!(
        "{:<width$} {:<14} {:>10} {:>6} {:>10} {:<12} {:>8} license",
        "name", "vision", "dimensions", "pixels", "parameters", "languages", "accuracy"
    );
    for known in models {
        println!(
            "{:<width$} {:<14} {:>10} {:>6} {:>8} M {:<12} {:>8} {}",
            known.name,
            known.vision,
            known.dimensions,
            known.image_size,
            known.parameters,
            known.languages.name(),
            known.accuracy(),
            known.license()
        );
    }
    println!("\n{}", machine.advice(recommended));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clip_core::ModelDir;

    use super::*;
    use crate::license;

    /// Of the table in docs/models/choosing.md.
    fn row(known: &Known) -> String {
        let thousands = |n: u64| if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) };
        let tasks: Vec<String> = known.r#for.iter().map(|task| format!("{task:?}").to_lowercase()).collect();
        format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            known.name,
            known.vision,
            known.dimensions,
            known.image_size,
            thousands(known.parameters),
            known.languages.name(),
            known.accuracy(),
            tasks.join(", "),
            known.license()
        )
    }

    #[test]
    fn registry_is_sound() {
        let registry: Registry = toml::from_str(include_str!("../../../../models/registry.toml")).unwrap();
        let names: BTreeSet<&str> = registry.model.iter().map(|known| known.name.as_str()).collect();
        assert_eq!(names.len(), registry.model.len(), "a name twice");
        assert_eq!(REGISTRY.len(), names.len());
        for known in &registry.model {
            let name = &known.name;
            ModelDir::check_name(name).unwrap();
            let (_, repository) = known.repository.split_once('/').unwrap();
            assert_eq!(*name, repository.to_lowercase(), "the short name is the repository's");
            assert!(known.dimensions <= 2000, "pgvector's HNSW index holds no more in a vector");
            if let Some(images) = &known.images {
                let images = registry.model.iter().find(|other| other.name == *images).expect("a known model");
                assert_eq!((known.dimensions, known.image_size), (images.dimensions, images.image_size), "{name}");
            }
            assert_eq!(known.image_size % 2, 0);
            let is_hex = |s: &str, length| s.len() == length && s.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(known.revision.as_deref().is_none_or(|revision| is_hex(revision, 40)), "a commit, which stays");
            assert!(known.sha256.is_empty() || known.revision.is_some(), "checksums without a revision");
            assert!(known.sha256.values().all(|sha256| is_hex(sha256, 64)));
            assert!(known.image_parameters < known.parameters && known.image_parameters > 0, "{name}");
            assert!(recommend::tokens(known).is_some_and(|tokens| tokens > 0), "{name}: {}", known.vision);
            assert!(!known.r#for.is_empty(), "{name} is for nothing");
            assert!(known.accuracy.is_none_or(|percent| (20.0..90.0).contains(&percent)), "{name}");
            assert_eq!(known.languages != Languages::En, known.r#for.contains(&Task::Languages), "{name}");
            let forbids = known.license.as_deref().is_some_and(license::forbids_commercial_use);
            assert_eq!(known.noncommercial, forbids, "{name}: {:?}", known.license);
        }
        let page = include_str!("../../../../docs/models/choosing.md");
        for row in registry.model.iter().map(row) {
            assert!(page.contains(&row), "docs/models/choosing.md has not\n{row}");
        }
        assert_eq!(page.lines().filter(|line| line.contains("iT-") && line.starts_with("| `")).count(), names.len());
        for task in Task::value_variants() {
            assert!(registry.model.iter().any(|known| known.r#for.contains(task)), "nothing for {task:?}");
        }
    }
}
