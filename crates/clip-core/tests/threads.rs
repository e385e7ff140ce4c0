//! The engine computes on its own threads alone. Others would handle the host's signals, and ignore how many threads it
//! was told to use; candle starts a pool of them for any large operation of its own.
#![cfg(target_os = "linux")]

mod common;

use std::time::{Duration, Instant};

use clip_core::image::Limits;
use clip_core::import::{Imported, import};
use clip_core::{Compute, Context, Model, ModelDir};
use common::*;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until there are so many threads: one that reads a file ahead may end later than the call that began it.
fn until(expected: usize, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() != expected {
        assert!(Instant::now() < deadline, "{what}: {} threads, expected {expected}", threads());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_threads_but_the_pools() {
    let before = threads();
    let dir = tempfile::TempDir::new().unwrap();
    let models = ModelDir::new(dir.path());
    let sources = [root_dir().join("models/pictograms"), model_dir("tiny-siglip")];
    let picture = std::fs::read(root_dir().join("models/demo/pictures/horse.png")).unwrap();
    for (source, name) in sources.iter().zip(["clip", "siglip"]) {
        let imported = import(source, &models, name, None, &|_, _| {}).unwrap();
        let (Imported::New(installed) | Imported::AlreadyThere(installed)) = imported;
        let model = Model::new(installed, None).unwrap();
        for count in [1, 3] {
            let compute = Compute::new(count).unwrap();
            let ctx = Context { compute: &compute, stop: &|| false };
            model.embed_images(&[picture.as_slice(); 32], &Limits::default(), &ctx).unwrap();
            model.embed_texts(&["a horse that runs over a green meadow"; 64], &ctx).unwrap();
            until(before + count - 1, name);
        }
    }
}
