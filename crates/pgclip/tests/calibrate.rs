//! `calibrate`: a derived model that subtracts the mean of each modality.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;

use common::*;
use serde_json::Value;
use tempfile::TempDir;

/// 32 texts in a file, 32 of the demo's pictures and a file that is no image in a directory.
struct Sample {
    dir: TempDir,
    names: Vec<String>,
}

impl Sample {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut names: Vec<String> =
            fs::read_dir(picture("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.truncate(32);
        fs::create_dir(dir.path().join("images")).unwrap();
        for name in &names {
            fs::copy(picture(name), dir.path().join("images").join(name)).unwrap();
        }
        fs::write(dir.path().join("images/notes.txt"), "no image").unwrap();
        fs::write(dir.path().join("texts"), names.join("\n")).unwrap();
        Self { dir, names }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn calibrate(&self, models: &Models, new: &str) -> Run {
        let (texts, images, means) = (self.path("texts"), self.path("images"), self.path("means"));
        models.run(["calibrate", "tiny", "--as", new, "--texts", &texts, "--images", &images, "--save-means", &means])
    }
}

fn embed(models: &Models, model: &str, kind: &str, inputs: &[String]) -> Vec<Vec<f64>> {
    let mut args = ["embed", model, "--precision", "f32"].map(str::to_owned).to_vec();
    inputs.iter().for_each(|input| args.extend([format!("--{kind}"), input.clone()]));
    let line = |line: &str| -> Vec<f64> {
        let line: Value = serde_json::from_str(line).unwrap();
        line["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    models.run(args).ok().lines().map(line).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn mean(vectors: &[Vec<f64>]) -> Vec<f64> {
    (0..vectors[0].len()).map(|i| vectors.iter().map(|v| v[i]).sum::<f64>() / vectors.len() as f64).collect()
}

#[test]
fn vectors_are_moved_by_the_mean_of_their_kind() {
    let (models, sample) = (Models::with_tiny(), Sample::new());
    let run = sample.calibrate(&models, "centred");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.starts_with("installed centred: "), "{}", run.stdout);
    assert!(run.stderr.contains("left out") && run.stderr.contains("notes.txt"), "{}", run.stderr);

    let pictures: Vec<String> = sample.names.iter().map(|name| picture(name).to_str().unwrap().to_owned()).collect();
    for (kind, inputs) in [("text", &sample.names), ("image", &pictures)] {
        let (plain, centred) = (embed(&models, "tiny", kind, inputs), embed(&models, "centred", kind, inputs));
        let mean = mean(&plain);
        for (plain, centred) in plain.iter().zip(&centred) {
            let moved: Vec<f64> = plain.iter().zip(&mean).map(|(x, m)| x - m).collect();
            let norm = length(&moved);
            assert!((length(centred) - 1.0).abs() < 1e-5);
            for (x, c) in moved.iter().zip(centred) {
                assert!((x / norm - c).abs() < 1e-4, "{kind}: {c}, expected {}", x / norm);
            }
        }
    }
}

#[test]
fn it_shares_the_weights_and_has_a_fingerprint_of_its_own() {
    let (models, sample) = (Models::with_tiny(), Sample::new());
    assert_eq!(sample.calibrate(&models, "centred").code, 0);
    let inode = |model: &str| fs::metadata(models.path().join(model).join("weights.f32.safetensors")).unwrap().ino();
    assert_eq!(inode("tiny"), inode("centred"));
    let manifest = |model: &str| -> Value {
        serde_json::from_slice(&fs::read(models.path().join(model).join("model.json")).unwrap()).unwrap()
    };
    assert_ne!(manifest("tiny")["fingerprint"], manifest("centred")["fingerprint"]);
    models.run(["verify", "centred"]).ok();
    assert_eq!(models.entries(), ["centred", "tiny"]);

    // from the saved means the very same model, which may take the name again
    let means = sample.path("means");
    let again = models.run(["calibrate", "tiny", "--as", "again", "--means", &means]).ok();
    assert!(again.trim_end().ends_with(manifest("centred")["fingerprint"].as_str().unwrap()), "{again}");
    models.run(["calibrate", "tiny", "--as", "centred", "--means", &means]).ok();
    let error = models.run(["calibrate", "tiny", "--as", "tiny", "--means", &means]).fails(1);
    assert!(error.contains("exists with other content"), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (models, sample) = (Models::with_tiny(), Sample::new());
    assert_eq!(sample.calibrate(&models, "centred").code, 0);
    let (means, texts, images) = (sample.path("means"), sample.path("texts"), sample.path("images"));
    let error = models.run(["calibrate", "centred", "--as", "twice", "--means", &means]).fails(1);
    assert!(error.contains("calibrated already") && error.contains("hint: "), "{error}");

    fs::write(&texts, "one\n\ntwo\n").unwrap();
    let error = models.run(["calibrate", "tiny", "--as", "few", "--texts", &texts, "--images", &images]).fails(1);
    assert!(error.contains("2 texts, expected at least 16"), "{error}");

    fs::write(&means, r#"{"text": [0.5], "image": [0.5]}"#).unwrap();
    let error = models.run(["calibrate", "tiny", "--as", "short", "--means", &means]).fails(1);
    assert!(error.contains("1 dimensions, expected"), "{error}");
    fs::write(&means, "no JSON").unwrap();
    models.run(["calibrate", "tiny", "--as", "broken", "--means", &means]).fails(1);

    models.run(["calibrate", "tiny", "--as", "none"]).fails(2);
    models.run(["calibrate", "tiny", "--as", "half", "--texts", &texts]).fails(2);
    models.run(["calibrate", "tiny", "--as", "Bad Name", "--means", &means]).fails(1);
    assert_eq!(models.entries(), ["centred", "tiny"]);
}
