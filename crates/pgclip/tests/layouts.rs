//! Older layouts of a model's files: a tokenizer of two files, and sentence-transformers' directory.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::hub::{Hub, REPOSITORY, names};
use common::*;
use serde_json::Value;

type Files = BTreeMap<String, Vec<u8>>;

fn files() -> Files {
    std::fs::read_dir(source("tiny-clip"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// With `vocab.json` and `merges.txt` instead of `tokenizer.json`.
fn with_two_files() -> Files {
    let mut files = files();
    let tokenizer: Value = serde_json::from_slice(&files.remove("tokenizer.json").unwrap()).unwrap();
    let word = |word: &Value| word.as_str().unwrap().to_owned();
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let merges: String = merges.map(|pair| format!("{} {}\n", word(&pair[0]), word(&pair[1]))).collect();
    files.insert("merges.txt".into(), format!("#version: 0.2\n{merges}").into());
    files.insert("vocab.json".into(), tokenizer["model"]["vocab"].to_string().into());
    files
}

/// As sentence-transformers has them: the card at the top, the rest a directory below.
fn nested(files: Files) -> Files {
    let mut nested: Files = files.into_iter().map(|(name, content)| (format!("0_CLIPModel/{name}"), content)).collect();
    nested.insert("README.md".into(), b"---\nlicense: apache-2.0\n---\n".to_vec());
    nested.insert("modules.json".into(), b"[]".to_vec());
    nested.insert("config_sentence_transformers.json".into(), b"{}".to_vec());
    nested
}

fn write(files: &Files, dir: &Path) {
    for (name, content) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// What the model makes of some texts.
fn vectors(models: &Models, name: &str) -> String {
    let texts = ["A photo of a cat's 2 ears", "<|endoftext|> ", "\u{c4}pfel  und\nBirnen!?"];
    let options = texts.iter().flat_map(|text| ["--text", text]);
    models.run(["embed", name, "--precision", "f32"].into_iter().chain(options)).ok()
}

#[test]
fn vocab_json_and_merges_txt() {
    let (hub, models) = (Hub::new(with_two_files()), Models::with_tiny());
    let pulled = hub.pull(&models, &["--name", "pulled"]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert_eq!(vectors(&models, "pulled"), vectors(&models, "tiny"));
    assert!(models.run(["verify", "pulled"]).ok().contains("intact"));

    let dir = tempfile::TempDir::new().unwrap();
    write(&with_two_files(), dir.path());
    let inspected = models.run(["inspect".as_ref(), dir.path().as_os_str()]).ok();
    assert!(inspected.contains("77 tokens at most, BPE tokenizer, vocabulary of 1000\n"), "{inspected}");
    assert!(inspected.contains(" vocab.json, ") && inspected.contains(" merges.txt, "), "{inspected}");
    std::fs::remove_file(dir.path().join("merges.txt")).unwrap();
    let path = dir.path().to_str().unwrap();
    let error = models.run(["import", path, "--name", "x"]).fails(1);
    assert!(
        error.contains("tokenizer.json") && error.contains("hint: tokenizer.json is read, else vocab.json"),
        "{error}"
    );
}

#[test]
fn a_directory_of_sentence_transformers() {
    for files in [files(), with_two_files()] {
        let (hub, models) = (Hub::new(nested(files.clone())), Models::with_tiny());
        let pulled = hub.pull(&models, &["--name", "pulled"]);
        assert_eq!(pulled.code, 0, "{}", pulled.stderr);
        assert_eq!(vectors(&models, "pulled"), vectors(&models, "tiny"));
        let list = models.run(["list"]).ok();
        assert!(list.lines().any(|line| line.starts_with("pulled ") && line.contains(" apache-2.0 ")), "{list}");
        assert_eq!(names(hub.cache.path()), [""; 0]);

        // Downloaded, inspected and imported apart.
        let dir = hub.cache.path().join("usb");
        let mut command = pgclip();
        command.args(["pull", REPOSITORY, "--endpoint", &hub.url, "--download-only"]).arg(&dir);
        assert_eq!(run(&mut command).code, 0);
        assert_eq!(names(&dir), ["0_CLIPModel", "README.md"]);
        let inspected = models.run(["inspect".as_ref(), dir.as_os_str()]).ok();
        assert!(
            inspected.contains(" apache-2.0\n") && inspected.contains(" model.safetensors, 0.4 MB\n"),
            "{inspected}"
        );
        let imported = models.run(["import", dir.to_str().unwrap(), "--name", "imported"]).ok();
        assert!(imported.starts_with("installed imported: "), "{imported}");
        assert_eq!(vectors(&models, "imported"), vectors(&models, "tiny"));
    }
}
