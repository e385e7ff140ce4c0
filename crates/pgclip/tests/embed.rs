//! `embed`: JSON lines on standard output, in the order of the options.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use common::*;
use serde_json::Value;

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn texts_and_images_in_order() {
    let models = Models::with_tiny();
    let (horse, ox) = (picture("horse.png"), picture("ox.png"));
    let (horse, ox) = (horse.to_str().unwrap(), ox.to_str().unwrap());
    let output = models
        .run(["embed", "tiny", "--image", horse, "--text", "a horse", "--image", ox, "--text=a horse", "--text", "-ox"])
        .ok();
    let lines = lines(&output);
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["image", "text", "image", "text", "text"]);
    for line in &lines {
        assert_eq!(line.as_object().unwrap().len(), 3, "{line}");
        let embedding: Vec<f64> = line["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert_eq!(line["dims"].as_u64().unwrap() as usize, embedding.len());
        let norm = embedding.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "length {norm}");
    }
    assert_eq!(lines[1], lines[3], "the same text, another vector");
    assert_ne!(lines[0]["embedding"], lines[2]["embedding"]);
    assert_ne!(lines[1]["embedding"], lines[4]["embedding"]);
    assert_eq!(lines[0]["dims"], lines[1]["dims"]);
    // alone, and with another number of threads, the same vectors
    let alone = models.run(["embed", "tiny", "--image", horse, "--threads", "1"]).ok();
    assert_eq!(lines[0], serde_json::from_str::<Value>(&alone).unwrap());
}

#[test]
fn an_empty_text_and_a_long_one_are_texts() {
    let models = Models::with_tiny();
    let output = models.run(["embed", "tiny", "--text", "", "--text", &"cat ".repeat(10_000)]).ok();
    assert_eq!(lines(&output).len(), 2);
}

#[test]
fn what_is_no_image_is_named() {
    let models = Models::with_tiny();
    let error = models.run(["embed", "tiny", "--image", "/nonexistent.png"]).fails(1);
    assert!(error.contains("could not read") && error.contains("/nonexistent.png"), "{error}");
    let toml = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let error = models.run(["embed", "tiny", "--image", toml]).fails(1);
    assert!(error.contains("Cargo.toml: image is not of a supported format"), "{error}");

    // What was embedded before the bad one is already out.
    let run = models.run(["embed", "tiny", "--text", "a cat", "--image", toml]);
    assert_eq!((run.code, lines(&run.stdout).len()), (1, 1), "{}", run.stderr);
}

#[test]
fn precision_is_a_choice_between_those_installed() {
    let models = Models::with_tiny();
    let horse = picture("horse.png");
    let embed = |precision: &str| {
        let args = ["embed", "tiny", "--precision", precision, "--text", "a horse", "--image", horse.to_str().unwrap()];
        let vectors = lines(&models.run(args).ok());
        vectors.into_iter().map(|line| serde_json::from_value::<Vec<f64>>(line["embedding"].clone()).unwrap())
    };
    for (full, half) in embed("f32").zip(embed("bf16")) {
        assert_ne!(full, half, "the same numbers in both");
        let cosine: f64 = full.iter().zip(&half).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.999, "cosine {cosine}");
    }
    let error = models.run(["embed", "tiny", "--precision", "f8", "--text", "x"]).fails(2);
    assert!(error.contains("unknown precision \"f8\": expected one of "), "{error}");
    // One that a model was not installed in is refused by name.
    models.edit("tiny", "model.json", |bytes| {
        let mut manifest: Value = serde_json::from_slice(bytes).unwrap();
        manifest["files"].as_object_mut().unwrap().remove("weights.bf16.safetensors").unwrap();
        *bytes = serde_json::to_vec(&manifest).unwrap();
    });
    let error = models.run(["embed", "tiny", "--precision", "bf16", "--text", "x"]).fails(1);
    assert!(error.contains("model \"tiny\" has no weights in bf16"), "{error}");
}

#[test]
fn a_missing_or_damaged_model_is_an_error() {
    let models = Models::with_tiny();
    let error = models.run(["embed", "big", "--text", "x"]).fails(1);
    assert!(error.contains("model \"big\" is not installed"), "{error}");
    models.edit("tiny", "tokenizer.safetensors", |bytes| bytes.fill(b'{'));
    let error = models.run(["embed", "tiny", "--text", "x"]).fails(1);
    assert!(error.contains("tokenizer.safetensors"), "{error}");
}

#[test]
fn a_reader_may_leave_early() {
    let models = Models::with_tiny();
    let mut command = pgclip();
    command.env("PGCLIP_MODEL_DIR", models.path()).args(["embed", "tiny"]);
    command.args((0..2000).flat_map(|i| ["--text".to_owned(), i.to_string()]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with('{'), "{first}");
    // The reader is gone now; 2000 lines are more than any pipe holds.
    let output = child.wait_with_output().unwrap();
    // As any other program of a pipe: ended by SIGPIPE, without a word.
    assert_eq!(output.status.signal(), Some(13), "{:?}", output.status);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A BMP of 4 x 4 pixels with the pixels of its lower rows, which come first.
fn bitmap(rows: usize) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    let numbers = |file: &mut Vec<u8>, numbers: &[u32]| numbers.iter().for_each(|n| file.extend(n.to_le_bytes()));
    numbers(&mut file, &[102, 0, 54, 40, 4, 4, 1 | 24 << 16, 0, 48, 0, 0, 0, 0]);
    file.extend([10, 200, 60].repeat(4 * rows));
    file
}

/// A TIFF of two 16-bit grey levels.
fn wide_grey(levels: [u16; 2]) -> Vec<u8> {
    let mut file = b"II*\0\x0c\0\0\0".to_vec();
    levels.iter().for_each(|level| file.extend(level.to_le_bytes()));
    // Width, height, bits, colours (black is zero), offset, samples, rows, bytes.
    let tags = [(256, 2), (257, 1), (258, 16), (262, 1), (273, 8), (277, 1), (278, 1), (279, 4)];
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        file.extend([tag, 3u16].iter().flat_map(|n| n.to_le_bytes()));
        file.extend([1u32, value].iter().flat_map(|n| n.to_le_bytes()));
    }
    file.extend([0; 4]);
    file
}

#[test]
fn odd_images_are_a_choice() {
    let models = Models::with_tiny();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = |arguments: &[&str]| models.run([&["embed", "tiny"], arguments].concat());
    let vector = |arguments: &[&str]| {
        let run = run(arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
        lines(&run.stdout)[0]["embedding"].clone()
    };
    let (whole, cut) = (write("whole.bmp", &bitmap(4)), write("cut.bmp", &bitmap(2)));
    let error = models.run(["embed", "tiny", "--image", &cut]).fails(1);
    assert!(error.contains("cut.bmp: truncated BMP image"), "{error}");
    let in_part = run(&["--truncated-images", "embed", "--image", &cut]);
    assert_eq!(in_part.code, 0, "{}", in_part.stderr);
    assert!(in_part.stderr.contains("cut.bmp: BMP image is truncated or damaged, embedded"), "{}", in_part.stderr);
    assert_ne!(lines(&in_part.stdout)[0]["embedding"], vector(&["--image", &whole]));

    // Both levels are white where they are cut, and a twentieth and a half of it where they are not.
    let wide = write("wide.tif", &wide_grey([3_000, 33_000]));
    assert_ne!(vector(&["--image", &wide]), vector(&["--gray16", "scale", "--image", &wide]));

    let error = models.run(["embed", "tiny", "--max-image-pixels", "15", "--image", &whole]).fails(1);
    assert!(error.contains("4 x 4 pixels exceeds the limit of 15 pixels"), "{error}");
    vector(&["--max-image-pixels", "16", "--image", &whole]);
    let error = models.run(["embed", "tiny", "--max-image-bytes", "101", "--image", &whole]).fails(1);
    assert!(error.contains("102 bytes exceeds the limit of 101 bytes"), "{error}");
    models.run(["embed", "tiny", "--gray16", "stretch", "--image", &whole]).fails(2);
}

#[test]
fn texts_in_a_language() {
    let models = Models::with_tiny();
    models.import("tiny-openclip-nllb", "many").ok();
    let vector = |name: &str, arguments: &[&str]| {
        let run = models.run([&["embed", name, "--text", "a horse"], arguments].concat());
        lines(&run.ok())[0]["embedding"].clone()
    };
    let (usual, german) = (vector("many", &[]), vector("many", &["--language", "deu_Latn"]));
    assert_ne!(usual, german);
    assert_eq!(usual, vector("many", &["--language", "eng_Latn"]));
    let error = models.run(["embed", "many", "--text", "a horse", "--language", "de"]).fails(1);
    assert!(error.contains("the model has no language \"de\"") && error.contains("deu_Latn"), "{error}");
    // A model without languages does not mind.
    assert_eq!(vector("tiny", &[]), vector("tiny", &["--language", "de"]));
    let card = models.run(["inspect".as_ref(), source("tiny-openclip-nllb").as_os_str()]).ok();
    assert!(card.contains("5 languages, eng_Latn where none is named"), "{card}");
}
