//! Models whose license forbids commercial use: `pull`, `import` and `inspect`.

mod common;

use std::collections::BTreeMap;

use common::hub::Hub;
use common::*;

fn files(card: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = std::fs::read_dir(source("tiny-clip"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.insert("README.md".into(), card.into());
    files
}

#[test]
fn a_pull_asks_before_the_weights() {
    let models = Models::new();
    for (license, card) in [
        ("cc-by-nc-4.0", "---\nlicense: cc-by-nc-4.0\n---\n"),
        ("apple-amlr", "---\nlicense: other\nlicense_name: apple-amlr\n---\n"),
    ] {
        let hub = Hub::new(files(card));
        let error = hub.pull(&models, &[]).fails(1);
        let message = format!("the license of this model, {license}, forbids commercial use");
        assert!(error.contains(&message) && error.contains("--accept-license"), "{error}");
        assert!(error.contains(&format!("hint: Read it at {}/{}. ", hub.url, common::hub::REPOSITORY)), "{error}");
        assert!(
            hub.requests().iter().all(|request| !request.is_file("model.safetensors")),
            "the weights were asked for"
        );
        models.is_empty();

        // What was downloaded serves the next attempt.
        let pulled = hub.pull(&models, &["--accept-license", "--name", license]);
        assert_eq!(pulled.code, 0, "{}", pulled.stderr);
        assert!(hub.requests().iter().all(|request| !request.is_file("config.json")), "downloaded twice");
        let list = models.run(["list"]).ok();
        assert!(list.lines().any(|line| line.contains(&format!(" {license} "))), "{list}");
        std::fs::remove_dir_all(models.path()).unwrap();
    }
}

#[test]
fn the_registry_s_word_counts_where_the_card_is_silent() {
    let (hub, models) = (Hub::new(files("# no license here\n")), Models::new());
    let error = run(&mut hub.command(&models, &["dfn2b-clip-vit-b-16"])).fails(1);
    assert!(error.contains("the license of this model, apple-amlr, forbids commercial use"), "{error}");
    assert_eq!(hub.requests().len(), 0, "the list is enough");
    let pulled = run(&mut hub.command(&models, &["dfn2b-clip-vit-b-16", "--accept-license"]));
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(models.run(["list"]).ok().contains(" apple-amlr "));
}

#[test]
fn download_only_asks_too() {
    let hub = Hub::new(files("---\nlicense: cc-by-nc-sa-4.0\n---\n"));
    let dir = hub.cache.path().join("x");
    let download = |args: &[&str]| {
        let mut command = pgclip();
        command.args(["pull", common::hub::REPOSITORY, "--endpoint", &hub.url, "--download-only"]).arg(&dir).args(args);
        run(&mut command)
    };
    assert!(download(&[]).fails(1).contains("cc-by-nc-sa-4.0, forbids commercial use"));
    assert!(!dir.join("model.safetensors").exists());
    assert_eq!(download(&["--accept-license"]).code, 0);
    assert!(dir.join("model.safetensors").exists());
}

#[test]
fn an_import_and_an_inspection() {
    let (models, dir) = (Models::new(), tempfile::TempDir::new().unwrap());
    for (name, content) in files("---\nlicense: cc-by-nc-4.0\n---\n") {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let path = dir.path().to_str().unwrap();
    let import = |args: &[&str]| models.run([&["import", path, "--name", "x"], args].concat());
    let error = import(&[]).fails(1);
    assert!(error.contains("the license of this model, cc-by-nc-4.0, forbids commercial use"), "{error}");
    assert!(error.contains("hint: Read it in the model's README.md and LICENSE. With --accept-license"), "{error}");
    models.is_empty();
    let inspected = models.run(["inspect".as_ref(), dir.path().as_os_str()]).ok();
    let line = inspected.lines().find(|line| line.starts_with("license ")).unwrap();
    assert!(line.ends_with(" cc-by-nc-4.0, which forbids commercial use: import wants --accept-license"), "{line}");
    assert!(import(&["--accept-license"]).ok().starts_with("installed x: "));
}
