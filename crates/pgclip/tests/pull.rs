//! `pull` from a hub that does as it should.

mod common;

use common::hub::{COMMIT, Hub, REPOSITORY, Request, Response, names};
use common::*;

fn fingerprint(output: &str) -> &str {
    output.split("fingerprint ").nth(1).expect("no fingerprint in the output").trim()
}

#[test]
fn a_pull_is_an_import_of_the_files_that_it_needs() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let pulled = hub.pull(&models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(pulled.stdout.starts_with("installed tiny-clip: "), "{}", pulled.stdout);
    assert!(pulled.stderr.contains("downloading model.safetensors, 0.4 MB\n"), "{}", pulled.stderr);

    fn files(requests: &[Request], host: &str) -> Vec<String> {
        let files = requests.iter().filter(|r| r.host == host && !r.path.starts_with("/api/"));
        files.map(|r| r.path.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    }
    let requests = hub.requests();
    let needed = [
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "README.md",
        "tokenizer_config.json",
        "model.safetensors",
    ];
    assert_eq!(files(&requests, "hub"), needed);
    assert_eq!(files(&requests, "cdn"), ["model.safetensors"]);
    // One commit for all files, whatever happens to the branch meanwhile.
    assert_eq!(requests[0].path, format!("/api/models/{REPOSITORY}/revision/main?blobs=true"));
    let pinned = format!("/{REPOSITORY}/resolve/{COMMIT}/");
    assert!(requests[1..].iter().filter(|r| r.host == "hub").all(|r| r.path.starts_with(&pinned)), "{requests:?}");

    // The same model as from a directory, with the card's license; nothing is left of the download.
    assert_eq!(fingerprint(&pulled.stdout), fingerprint(&models.import("tiny-clip", "other").ok()));
    assert!(models.run(["verify", "tiny-clip"]).ok().contains("intact"));
    let list = models.run(["list"]).ok();
    assert!(list.lines().any(|line| line.starts_with("tiny-clip ") && line.contains(" mit ")), "{list}");
    assert_eq!(names(hub.cache.path()), [""; 0]);
}

#[test]
fn every_layout_of_weights() {
    for golden in ["tiny-clip-sharded", "tiny-clip-bin", "tiny-clip-f16", "tiny-openclip"] {
        let (hub, models) = (Hub::with(golden), Models::new());
        let pulled = hub.pull(&models, &["--name", "x"]);
        assert_eq!(pulled.code, 0, "{golden}: {}", pulled.stderr);
        assert_eq!(fingerprint(&pulled.stdout), fingerprint(&models.import(golden, "y").ok()), "{golden}");
    }
}

#[test]
fn revisions_license_and_name() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let pulled = hub.pull(&models, &["--revision", "refs/pr/1", "--name", "a.b-c_1", "--license", "CC0-1.0"]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert_eq!(hub.requests()[0].path, format!("/api/models/{REPOSITORY}/revision/refs%2Fpr%2F1?blobs=true"));
    let list = models.run(["list"]).ok();
    assert!(list.contains("\na.b-c_1 ") && list.contains(" CC0-1.0 "), "{list}");

    let models = Models::new();
    for (args, message) in [
        (&["--name", "Tiny"][..], "invalid model name \"Tiny\""),
        (&["--revision", "../x"], "invalid revision \"../x\""),
    ] {
        let error = hub.pull(&models, args).fails(1);
        assert!(error.contains(message), "{error}");
    }
    let error = run(&mut hub.command(&models, &["a/b/c"])).fails(1);
    assert!(error.contains("invalid repository \"a/b/c\""), "{error}");
    assert_eq!(hub.requests().len(), 0, "nothing is asked for in vain");
    models.is_empty();
}

#[test]
fn download_here_import_there() {
    let (hub, models, elsewhere) = (Hub::with("tiny-clip"), Models::new(), Models::new());
    let dir = hub.cache.path().join("usb/tiny");
    let dir = dir.to_str().unwrap();
    let mut command = pgclip();
    command.args(["pull", REPOSITORY, "--endpoint", &hub.url, "--download-only", dir]);
    // neither PostgreSQL nor a home is needed
    let pulled = run(command.env("PG_CONFIG", "false").env_remove("HOME"));
    assert_eq!((pulled.code, pulled.stdout), (0, format!("downloaded {REPOSITORY} at {COMMIT} into {dir}\n")));
    models.is_empty();
    let needed = [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names(dir.as_ref()), needed);
    let imported = elsewhere.run(["import", dir]).ok();
    assert!(imported.starts_with("installed tiny: "), "{imported}");

    // A second time everything is there already, and the other files of the directory stay.
    hub.requests();
    std::fs::write(format!("{dir}/notes.txt"), "mine").unwrap();
    let mut again = pgclip();
    assert_eq!(run(again.args(["pull", REPOSITORY, "--endpoint", &hub.url, "--download-only", dir])).code, 0);
    assert_eq!(hub.requests().len(), 1, "only the listing");
    assert_eq!(names(dir.as_ref()).len(), needed.len() + 1);
}

#[test]
fn a_known_name_is_enough() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let pulled = run(&mut hub.command(&models, &["clip-vit-base-patch32"]));
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(pulled.stdout.starts_with("installed clip-vit-base-patch32: "), "{}", pulled.stdout);
    assert!(
        hub.requests()[0]
            .path
            .starts_with("/api/models/openai/clip-vit-base-patch32/revision/3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268?")
    );

    // The registry's license where the card is silent, and only there.
    for (card, name, license) in [("# no license here\n", "a", "apache-2.0"), ("---\nlicense: mit\n---\n", "b", "mit")]
    {
        let mut files: std::collections::BTreeMap<_, _> = std::fs::read_dir(source("tiny-clip"))
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
            .collect();
        files.insert("README.md".into(), card.into());
        let hub = Hub::new(files);
        assert_eq!(run(&mut hub.command(&models, &["siglip-base-patch16-256", "--name", name])).code, 0);
        let list = models.run(["list"]).ok();
        assert!(list.lines().any(|l| l.starts_with(&format!("{name} ")) && l.contains(license)), "{list}");
    }

    // Other weights than the registry's, unless another revision is asked for.
    let error = run(&mut hub.command(&models, &["siglip-base-patch16-224"])).fails(1);
    assert!(error.contains("on the hub, expected SHA-256 2c63cb7d1f2e95ba"), "{error}");
    assert!(
        hub.requests().iter().all(|request| !request.path.contains("model.safetensors")),
        "downloaded all the same"
    );
    let main = ["siglip-base-patch16-224", "--revision", "main", "--name", "main"];
    assert_eq!(run(&mut hub.command(&models, &main)).code, 0);

    let error = run(&mut hub.command(&models, &["clip-vit-huge"])).fails(1);
    assert!(error.contains("no model is known as \"clip-vit-huge\"") && error.contains("pgclip known"), "{error}");
}

#[test]
fn a_listing_without_sizes_and_checksums() {
    // Mirrors leave them out; the headers of the files say the same.
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.listing(|listing| {
        for file in listing["siblings"].as_array_mut().unwrap() {
            *file = serde_json::json!({"rfilename": file["rfilename"]});
        }
    });
    let pulled = hub.pull(&models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);

    // Without a checksum anywhere there is nothing to trust.
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|request, mut response| {
        response.headers.retain(|(name, _)| !name.to_lowercase().ends_with("etag"));
        if request.path.starts_with("/api/") {
            let mut listing: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            for file in listing["siblings"].as_array_mut().unwrap() {
                *file = serde_json::json!({"rfilename": file["rfilename"]});
            }
            return Response::new(200, listing.to_string());
        }
        response
    });
    let error = hub.pull(&models, &[]).fails(1);
    assert!(error.contains("no size or no checksum of \"config.json\""), "{error}");
    models.is_empty();
}

#[test]
fn beside_a_configuration_of_timm_open_clip_s_weights_are_meant() {
    // timm's config.json describes the vision tower, and names no type of model.
    for (config, weights, other) in [
        (r#"{"architecture": "vit_tiny"}"#, "open_clip_model.safetensors", "model.safetensors"),
        (r#"{"model_type": "clip"}"#, "model.safetensors", "open_clip_model.safetensors"),
    ] {
        let files =
            ["config.json", "open_clip_config.json", "preprocessor_config.json", "tokenizer.json", weights, other];
        let content = |name: &str| if name == "config.json" { config.into() } else { b"{}".to_vec() };
        let hub = Hub::new(files.iter().map(|name| (name.to_string(), content(name))).collect());
        let dir = hub.cache.path().join("x");
        let mut command = pgclip();
        command.args(["pull", REPOSITORY, "--endpoint", &hub.url, "--download-only"]).arg(&dir);
        assert_eq!(run(&mut command).code, 0);
        let files = names(&dir);
        assert!(files.iter().any(|f| f == weights) && !files.iter().any(|f| f == other), "{files:?}");
        assert_eq!(files.iter().any(|f| f == "open_clip_config.json"), weights.starts_with("open_clip"), "{files:?}");
    }
}

/// Two repositories make one model, which is the one that two directories make.
#[test]
fn an_encoder_of_texts_beside_a_model_of_images() {
    let images = source("tiny-openclip-native");
    let encoder = images.parent().unwrap().parent().unwrap().join("encoders/tiny-m-clip");
    let read = |dir: &std::path::Path| -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
    };
    // The hub of the tests has the same files in every repository; those that both have are the encoder's.
    let hub = Hub::new(read(&images).into_iter().chain(read(&encoder)).collect());
    let models = Models::new();
    let pull = ["org/texts", "--images", "org/pictures", "--name", "both"];
    let pulled = run(&mut hub.command(&models, &pull));
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    let paths: Vec<String> = hub.requests().into_iter().map(|request| request.path).collect();
    let repository = |name: &str, file: &str| {
        paths.iter().any(|path| path.starts_with(&format!("/org/{name}/")) && path.contains(file))
    };
    assert!(
        repository("texts", "pytorch_model.bin") && repository("pictures", "open_clip_model.safetensors"),
        "{paths:?}"
    );
    assert!(!repository("texts", "open_clip_model.safetensors"));
    assert_eq!(names(hub.cache.path()), [""; 0]);

    let (encoder, images) = (encoder.to_str().unwrap(), images.to_str().unwrap());
    let imported = models.run(["import", encoder, "--images", images, "--name", "here"]).ok();
    assert_eq!(fingerprint(&pulled.stdout), fingerprint(&imported));
    let card = models.run(["inspect", encoder, "--images", images]).ok();
    for line in ["the mean over all tokens", "pytorch_model.bin", "open_clip_model.safetensors"] {
        assert!(card.contains(line), "{card}");
    }
    let error = models.run(["import", encoder, "--name", "alone"]).fails(1);
    assert!(error.contains("--images"), "{error}");
}
