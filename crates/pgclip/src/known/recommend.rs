//! Which known model suits a machine.
//!
//! One rule, which docs/reference/cli.md states: of the models whose license does not forbid commercial use, whose weights in f32 and
//! bf16 take half of the memory at most and an image at most [`PATIENCE`], the most accurate one; else the fastest that fits.

use std::cmp::Ordering;
use std::thread;

use super::Known;

/// Milliseconds in f32 on one core, for a million parameters of the image tower and a token: bench/RESULTS.md, "Models of full
/// size", of which the test below has the figures.
const COST: f64 = 0.025;
/// Milliseconds an image.
const PATIENCE: f64 = 250.0;
/// Of the weights in f32 and in bf16, which lie on disk and are mapped.
const BYTES_A_PARAMETER: u64 = 6;

pub struct Machine {
    pub cores: usize,
    /// Bytes, where the system says.
    pub memory: Option<u64>,
}

impl Machine {
    pub fn here() -> Self {
        let cores = thread::available_parallelism().map_or(1, |n| n.get());
        Self { cores, memory: [system_memory(), container_memory()].into_iter().flatten().min() }
    }

    /// Estimated time of an image in f32.
    pub fn milliseconds(&self, known: &Known) -> f64 {
        let tokens = tokens(known).unwrap_or_default() as f64;
        COST * known.image_parameters as f64 * tokens / self.cores as f64
    }

    fn fits(&self, known: &Known) -> bool {
        self.memory.is_none_or(|memory| known.parameters * 1_000_000 * BYTES_A_PARAMETER <= memory / 2)
    }

    pub fn recommend<'a>(&self, models: &[&'a Known]) -> Option<&'a Known> {
        let faster = |a: &&Known, b: &&Known| self.milliseconds(a).total_cmp(&self.milliseconds(b));
        let better = |a: &&Known, b: &&Known| match a.accuracy.partial_cmp(&b.accuracy) {
            None | Some(Ordering::Equal) => faster(a, b).reverse(),
            Some(order) => order,
        };
        let usable = || models.iter().copied().filter(|known| !known.noncommercial && self.fits(known));
        let soon = usable().filter(|known| self.milliseconds(known) <= PATIENCE);
        // of equal ones the first of the list
        soon.rev().max_by(better).or_else(|| usable().min_by(faster))
    }

    /// The recommendation in words.
    pub fn advice(&self, recommended: Option<&Known>) -> String {
        let memory = self.memory.map_or_else(String::new, |bytes| format!(" and {:.1} GB", bytes as f64 / 1e9));
        let cores = if self.cores == 1 { "1 core".into() } else { format!("{} cores", self.cores) };
        match recommended {
            Some(known) => format!(
                "For this machine ({cores}{memory}): {}, estimated {:.0} ms an image in f32.",
                known.name,
                self.milliseconds(known)
            ),
            None => format!("None of these fits this machine ({cores}{memory}) and may be used commercially."),
        }
    }
}

/// Patches of an image.
pub fn tokens(known: &Known) -> Option<usize> {
    let patch: usize = known.vision.split_once('/')?.1.trim_end_matches('+').parse().ok()?;
    Some((known.image_size / patch).pow(2))
}

fn system_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The limit of a container; "max" is none.
fn container_memory() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{REGISTRY, Task, find};
    use super::*;

    fn for_task(task: Task) -> Vec<&'static Known> {
        REGISTRY.iter().filter(|known| known.r#for.contains(&task)).collect()
    }

    fn recommended(cores: usize, gigabytes: u64, task: Task) -> &'static str {
        let machine = Machine { cores, memory: Some(gigabytes << 30) };
        machine.recommend(&for_task(task)).map_or("", |known| &known.name)
    }

    #[test]
    fn estimates_are_near_what_was_measured() {
        let machine = Machine { cores: 2, memory: None };
        for (name, measured) in [
            ("clip-vit-base-patch32", 55.0),
            ("clip-vit-base-patch16", 217.0),
            ("clip-vit-large-patch14", 983.0),
            ("clip-vit-h-14-laion2b-s32b-b79k", 2006.0),
            ("clip-vit-g-14-laion2b-s34b-b88k", 3230.0),
            ("siglip-base-patch16-224", 232.0),
            ("siglip2-base-patch16-224", 228.0),
        ] {
            let estimated = machine.milliseconds(find(name).unwrap());
            assert!((estimated / measured - 1.0).abs() < 0.05, "{name}: {estimated} ms, measured {measured}");
        }
    }

    #[test]
    fn cores_and_memory_decide() {
        assert_eq!(recommended(2, 8, Task::Photos), "pe-core-b-16");
        assert_eq!(recommended(16, 64, Task::Photos), "siglip2-so400m-patch16-naflex");
        // 1.1 thousand million parameters need 6.8 GB of the half
        assert_eq!(recommended(16, 12, Task::Photos), "siglip2-large-patch16-256");
        assert_eq!(recommended(1, 2, Task::Photos), "clip-vit-b-32-256x256-datacomp-s34b-b86k");
        assert_eq!(recommended(1, 64, Task::Languages), "siglip2-base-patch32-256");
        // None is fast enough: the fastest.
        let slow = ["siglip2-giant-opt-patch16-384", "siglip2-so400m-patch16-384"].map(|name| find(name).unwrap());
        assert_eq!(Machine { cores: 1, memory: None }.recommend(&slow).unwrap().name, slow[1].name);
        assert_eq!(recommended(1, 0, Task::Photos), "");
    }

    #[test]
    fn the_table_of_the_page() {
        let page = include_str!("../../../../docs/models/choosing.md");
        for (cores, gigabytes) in [(1, 2), (2, 4), (2, 8), (4, 8), (8, 16), (16, 32), (32, 64)] {
            let machine = Machine { cores, memory: Some(gigabytes << 30) };
            let cell = |task| match machine.recommend(&for_task(task)) {
                Some(known) => format!("`{}`, {:.0} ms", known.name, machine.milliseconds(known)),
                None => "-".into(),
            };
            let (photos, languages) = (cell(Task::Photos), cell(Task::Languages));
            let row = format!("| {cores} | {gigabytes} GB | {photos} | {languages} |\n");
            assert!(page.contains(&row), "docs/models/choosing.md has not\n{row}");
        }
    }

    #[test]
    fn a_license_that_forbids_commercial_use_is_not_recommended() {
        assert_eq!(recommended(64, 512, Task::Places), "");
        assert_eq!(recommended(64, 512, Task::Products), "fashion-clip");
        let words = Machine { cores: 1, memory: Some(2_000_000_000) }.advice(None);
        assert_eq!(words, "None of these fits this machine (1 core and 2.0 GB) and may be used commercially.");
    }
}
