//! `import`, `inspect`, `list`, `verify`.

mod common;

use std::fs;

use common::*;

const WEIGHTS: &str = "weights.f32.safetensors";

/// The word after `fingerprint `.
fn fingerprint(output: &str) -> &str {
    output.split("fingerprint ").nth(1).expect("no fingerprint in the output").trim()
}

#[test]
fn import_twice_is_fine_and_changes_nothing() {
    let models = Models::new();
    let first = models.import("tiny-clip", "tiny").ok();
    assert!(first.starts_with("installed tiny: "), "{first}");
    assert_eq!(fingerprint(&first).len(), 64);
    assert_eq!(models.entries(), ["tiny"]);

    let manifest = fs::read(models.path().join("tiny/model.json")).unwrap();
    let second = models.import("tiny-clip", "tiny").ok();
    assert_eq!(second, format!("tiny is already installed, fingerprint {}\n", fingerprint(&first)));
    assert_eq!(fs::read(models.path().join("tiny/model.json")).unwrap(), manifest);
    assert_eq!(models.entries(), ["tiny"], "files left behind");
}

#[test]
fn import_takes_the_directory_for_a_name() {
    let models = Models::new();
    let output = models.run(["import".as_ref(), source("tiny-clip").as_os_str()]).ok();
    assert!(output.starts_with("installed tiny-clip: "), "{output}");
    assert_eq!(models.entries(), ["tiny-clip"]);
}

#[test]
fn import_removes_what_a_killed_one_left() {
    let models = Models::new();
    let make = |name: &str| {
        let dir = models.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(WEIGHTS), "half of it").unwrap();
        fs::File::open(dir).unwrap()
    };
    make(".tiny.1.tmp");
    let running = make(".tiny.2.tmp");
    running.lock().unwrap();
    make(".other.3.tmp");
    models.import("tiny-clip", "tiny").ok();
    assert_eq!(models.entries(), [".other.3.tmp", ".tiny.2.tmp", "tiny"]);
    drop(running);
}

#[test]
fn a_name_never_changes_its_content() {
    let models = Models::with_tiny();
    let before = models.run(["verify", "tiny"]).ok();
    let error = models.import("tiny-clip-eps", "tiny").fails(1);
    assert!(error.contains("model \"tiny\" exists with other content"), "{error}");
    assert!(error.contains(fingerprint(&before)) && error.contains("\nhint: "), "{error}");
    assert_eq!(models.run(["verify", "tiny"]).ok(), before);
    assert_eq!(models.entries(), ["tiny"], "files left behind");
}

#[test]
fn import_refuses_bad_names_and_missing_directories() {
    let models = Models::new();
    for name in ["", ".hidden", "../outside", "a/b", "Tiny", "tiny clip", "ünï", &"x".repeat(64)] {
        let error = models.import("tiny-clip", name).fails(1);
        assert!(error.contains(&format!("invalid model name \"{name}\"")), "{error}");
    }
    let error = models.run(["import", "/nonexistent/clip", "--name", "tiny"]).fails(1);
    assert!(error.contains("/nonexistent/clip"), "{error}");
    let error = models.run(["import", "/nonexistent/clip"]).fails(1);
    assert!(error.contains("could not read") && error.contains("/nonexistent/clip"), "{error}");
    let error =
        models.run(["import".as_ref(), picture("horse.png").as_os_str(), "--name".as_ref(), "x".as_ref()]).fails(1);
    assert!(error.contains("horse.png"), "{error}");
    assert_eq!(models.entries(), [""; 0]);
}

#[test]
fn license_is_kept() {
    let models = Models::new();
    let source = source("tiny-clip");
    let import = ["import".as_ref(), source.as_os_str(), "--license".as_ref(), "CC0-1.0".as_ref()];
    models.run(import).ok();
    assert!(models.run(["list"]).ok().contains(" CC0-1.0 "));
}

/// What `config.json` says of the modality gap is kept beside the content, and comes new with an import of the same.
#[test]
fn a_model_without_a_modality_gap_is_kept_as_such() {
    let models = Models::new();
    let copied = tempfile::tempdir().unwrap();
    for file in fs::read_dir(source("tiny-clip")).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, copied.path().join(path.file_name().unwrap())).unwrap();
    }
    let says = |gap: &str| {
        let plain = fs::read_to_string(source("tiny-clip").join("config.json")).unwrap();
        fs::write(copied.path().join("config.json"), plain.replacen('{', &format!("{{ \"modality_gap\": {gap},"), 1))
            .unwrap();
        models.run(["import".as_ref(), copied.path().as_os_str(), "--name".as_ref(), "tiny".as_ref()]).ok()
    };
    let manifest = || fs::read_to_string(models.path().join("tiny/model.json")).unwrap();
    let plain = models.import("tiny-clip", "tiny").ok();
    assert!(!manifest().contains("one_cone"), "{}", manifest());
    let output = says("false");
    assert_eq!(fingerprint(&output), fingerprint(&plain));
    assert!(manifest().contains("\"one_cone\": true"), "{}", manifest());
    assert!(says("false").starts_with("tiny is already installed"));
    assert!(models.run(["inspect".as_ref(), copied.path().as_os_str()]).ok().contains("modality gap     none"));
    says("true");
    assert!(!manifest().contains("one_cone"), "{}", manifest());
    models.run(["verify", "tiny"]).ok();
    assert_eq!(models.entries(), ["tiny"]);
}

#[test]
fn inspect_tells_and_writes_nothing() {
    let models = Models::new();
    let output = models.run(["inspect".as_ref(), source("tiny-clip").as_os_str()]).ok();
    for line in [
        "name             tiny-clip, unless --name gives another",
        "architecture     clip",
        "license          unknown",
        "dimensions       24",
        "scores           softmax of cosine times ",
        "text tower       2 layers, width 32, 4 heads, MLP 96, QuickGELU, layer norm eps 1e-5",
        "text input       77 tokens at most, BPE tokenizer, vocabulary of ",
        "text pooling     at the first end token (",
        "vision input     ",
        "image reading    turned as EXIF says, transparency dropped",
        "image resize     short side to 32 pixels, bicubic, then the centre 32 x 32",
        "image levels     divided by 255, minus 0.48145467, ",
        "files read       config.json, 1117 bytes",
        "                 model.safetensors, 0.4 MB",
        "would write      weights of 0.",
    ] {
        assert!(output.lines().any(|l| l.starts_with(line)), "no line \"{line}\" in\n{output}");
    }
    assert_eq!(models.entries(), [""; 0]);
    let error = models.run(["inspect", "/nonexistent"]).fails(1);
    assert!(error.contains("/nonexistent/config.json"), "{error}");
}

#[test]
fn list_names_every_model_also_an_unusable_one() {
    let models = Models::new();
    assert_eq!(models.run(["list"]).ok(), format!("no model is installed in {}\n", models.path().display()));
    models.import("tiny-clip", "b-model").ok();
    models.import("tiny-clip-eps", "a-model").ok();
    models.import("tiny-openclip", "c-model").ok();
    models.edit("b-model", "model.json", Vec::clear);
    let output = models.run(["list"]).ok();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(
        lines[0].starts_with("name ") && lines[1].starts_with("a-model ") && lines[3].starts_with("c-model "),
        "{output}"
    );
    assert!(
        lines[2].starts_with("b-model ") && lines[2].contains("unusable: ") && lines[2].contains("model.json"),
        "{output}"
    );
}

#[test]
fn verify_finds_a_single_changed_byte() {
    let models = Models::with_tiny();
    let intact = models.run(["verify", "tiny"]).ok();
    assert!(intact.starts_with("tiny is intact, fingerprint "), "{intact}");
    for file in [WEIGHTS, "tokenizer.json"] {
        models.edit("tiny", file, |bytes| *bytes.last_mut().unwrap() ^= 1);
        let error = models.run(["verify", "tiny"]).fails(1);
        assert!(error.contains("\"tiny\"") && error.contains(&format!("file \"{file}\" has SHA-256")), "{error}");
        models.edit("tiny", file, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }
    assert_eq!(models.run(["verify", "tiny"]).ok(), intact);
}

#[test]
fn verify_finds_files_cut_off_missing_and_replaced() {
    let models = Models::with_tiny();
    models.edit("tiny", WEIGHTS, |bytes| bytes.truncate(bytes.len() - 1));
    let error = models.run(["verify", "tiny"]).fails(1);
    assert!(error.contains(WEIGHTS) && error.contains(" bytes, expected "), "{error}");
    fs::remove_file(models.path().join("tiny").join(WEIGHTS)).unwrap();
    let error = models.run(["verify", "tiny"]).fails(1);
    assert!(error.contains(WEIGHTS), "{error}");

    // The manifest says what the numbers mean: another context length is another model.
    let models = Models::with_tiny();
    models.edit("tiny", "model.json", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let changed = text.replacen("\"context_length\": 77", "\"context_length\": 76", 1);
        assert_ne!(changed, text, "nothing replaced in {text}");
        *bytes = changed.into_bytes();
    });
    let error = models.run(["verify", "tiny"]).fails(1);
    assert!(error.contains("fingerprint"), "{error}");
}

#[test]
fn an_unknown_model_gets_a_hint() {
    let models = Models::with_tiny();
    let error = models.run(["verify", "big"]).fails(1);
    assert!(error.contains("model \"big\" is not installed"), "{error}");
    assert!(error.contains("hint: Installed models: tiny."), "{error}");
    let error = models.run(["verify", "../tiny"]).fails(1);
    assert!(error.contains("invalid model name"), "{error}");
}
