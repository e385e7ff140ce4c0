//! What `pull` refuses, and says about it. After each failure nothing is installed or half-installed.

mod common;

use common::hub::{Hub, REPOSITORY, Response, names};
use common::*;
use serde_json::json;

const WEIGHTS: &str = "model.safetensors";

/// The pull fails with all of these words, and nothing is installed.
#[track_caller]
fn refused(hub: &Hub, words: &[&str]) -> String {
    let models = Models::new();
    let error = hub.pull(&models, &[]).fails(1);
    for word in words {
        assert!(error.contains(word), "no \"{word}\" in\n{error}");
    }
    models.is_empty();
    error
}

#[test]
fn another_content_than_the_listed_one() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    for file in ["tokenizer.json", WEIGHTS] {
        hub.rule(move |request, mut response| {
            if request.is_file(file) && response.status == 200 {
                *response.body.last_mut().unwrap() ^= 1;
            }
            response
        });
        let kind = if file == WEIGHTS { "SHA-256" } else { "git blob" };
        let error =
            refused(&hub, &[&format!("file \"{file}\" has {kind} "), ", expected ", "\nhint: It was discarded"]);
        assert_eq!(
            error.split(kind).nth(1).unwrap().split(',').next().unwrap().trim().len(),
            if file == WEIGHTS { 64 } else { 40 }
        );
        assert_eq!(hub.part(file), 0, "the damaged download stays");
    }
    // What was wrong is gone, the same command works once the server does.
    hub.rule(|_, response| response);
    assert_eq!(hub.pull(&models, &[]).code, 0);

    // A hub that contradicts its own listing is found out before the download.
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, mut response| {
        if request.is_file(WEIGHTS) && request.host == "hub" {
            response.headers.retain(|(name, _)| *name != "X-Linked-Etag");
            return response.header("X-Linked-Etag", format!("\"{}\"", "0".repeat(64)));
        }
        response
    });
    refused(&hub, &["the hub lists file \"model.safetensors\" with SHA-256 ", "sends one with SHA-256 0000"]);
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, mut response| {
        if request.is_file("config.json") {
            response.headers.retain(|(name, _)| *name != "X-Repo-Commit");
            return response.header("X-Repo-Commit", "f".repeat(40));
        }
        response
    });
    refused(&hub, &["file \"config.json\" is of commit ffff", "expected 0123"]);
}

#[test]
fn what_does_not_exist() {
    let hub = Hub::with("tiny-clip");
    let models = Models::new();
    let error = hub.pull(&models, &["--revision", "v9"]).fails(1);
    assert!(error.contains(&format!("repository \"{REPOSITORY}\" has no revision \"v9\"")), "{error}");
    hub.rule(|_, _| {
        Response::new(404, "{}")
            .header("X-Error-Code", "RepoNotFound")
            .header("X-Error-Message", "Repository not found")
    });
    refused(&hub, &["does not exist at http://127.0.0.1", "Repository not found", "\nhint: Check the spelling"]);
    // listed, and not there
    hub.rule(|request, response| {
        if request.is_file(WEIGHTS) {
            return Response::new(404, "").header("X-Error-Code", "EntryNotFound");
        }
        response
    });
    refused(&hub, &["file \"model.safetensors\"", "does not have it"]);
    assert_eq!(hub.requests().len(), 9, "no second attempt");

    for (endpoint, message) in [
        ("ftp://hub", "invalid endpoint \"ftp://hub\""),
        ("hub", "invalid endpoint \"hub\""),
        ("https://u:p@hub", "invalid endpoint"),
    ] {
        let error = run(pgclip().args(["pull", REPOSITORY, "--endpoint", endpoint, "--model-dir", "/nonexistent"]));
        assert!(error.code == 1 && error.stderr.contains(message), "{}", error.stderr);
    }
    models.is_empty();
}

#[test]
fn who_may_not_read_it() {
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, response| match request.header("authorization") {
        Some("Bearer good") => response,
        None if request.host == "cdn" => response,
        None => Response::new(401, "")
            .header("X-Error-Code", "GatedRepo")
            .header("X-Error-Message", "Access to model is restricted"),
        Some(_) => Response::new(403, "").header("X-Error-Message", "Invalid\tcredentials"),
    });
    let error = refused(&hub, &["is gated: Access to model is restricted", "\nhint: Accept its terms at", "HF_TOKEN"]);
    assert!(error.contains(&format!("{}/{REPOSITORY}", hub.url)), "{error}");

    let models = Models::new();
    let with = |token: &str| run(hub.command(&models, &[REPOSITORY]).env("HF_TOKEN", token));
    let error = with("bad-secret").fails(1);
    assert!(error.contains("the hub refuses access") && error.contains("token in HF_TOKEN"), "{error}");
    assert!(!error.contains("secret") && !error.contains('\t'), "{error}");
    let error = with("two words").fails(1);
    assert!(error.contains("invalid token in HF_TOKEN") && !error.contains("two words"), "{error}");
    models.is_empty();

    // The token goes to the hub, and not to where it redirects to.
    hub.requests();
    assert_eq!(with("good").code, 0);
    let requests = hub.requests();
    let sent = |host| requests.iter().filter(move |r| r.host == host).map(|r| r.header("authorization"));
    assert!(sent("hub").count() == 7 && sent("hub").all(|token| token == Some("Bearer good")));
    assert!(sent("cdn").count() == 1 && sent("cdn").all(|token| token.is_none()));

    // The hub answers so for what is private or not there.
    let hub = Hub::with("tiny-clip");
    hub.rule(|_, _| Response::new(401, "Invalid username or password."));
    refused(&hub, &["does not exist or is private", "HF_TOKEN"]);
}

#[test]
fn wrong_sizes() {
    fn weights(listing: &mut serde_json::Value) -> &mut serde_json::Value {
        listing["siblings"].as_array_mut().unwrap().iter_mut().find(|f| f["rfilename"] == WEIGHTS).unwrap()
    }
    for (size, message) in [
        (1_000, "is longer than the 1000 bytes that the hub lists"),
        (500_000, "comes with 444540 bytes, the hub lists it with 500000"),
        (60_000_000_000, "not enough space in"),
        (1 << 60, "expected 68719476736 at most"),
    ] {
        // The part of a disk that the 60 GB may fit on cannot be told here.
        if size == 60_000_000_000 && free_space() > size {
            continue;
        }
        let hub = Hub::with("tiny-clip");
        hub.listing(move |listing| {
            weights(listing)["lfs"]["size"] = json!(size);
        });
        refused(&hub, &[message]);
        assert_eq!(hub.part(WEIGHTS), 0);
    }

    // Without a length in front, more comes than was announced: it is not written.
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, mut response| {
        if request.host == "cdn" {
            response.chunked = true;
            response.body.extend(vec![0; 50 << 20]);
        }
        response
    });
    refused(&hub, &["is longer than the 444540 bytes that the hub lists"]);
    assert_eq!(hub.part(WEIGHTS), 0);

    // Compressed on the way is not what was listed.
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, response| match request.is_file("config.json") {
        true => response.header("Content-Encoding", "gzip"),
        false => response,
    });
    refused(&hub, &["file \"config.json\" comes in encoding \"gzip\""]);
}

fn free_space() -> u64 {
    let found = nix::sys::statvfs::statvfs(&std::env::temp_dir()).unwrap();
    found.blocks_available() * found.fragment_size()
}

#[test]
fn names_that_lead_elsewhere() {
    for name in ["../../escaped.json", "/etc/escaped.json", "a/../../escaped.json", "a\\..\\escaped.json", ""] {
        let hub = Hub::with("tiny-clip");
        hub.listing(move |listing| {
            listing["siblings"]
                .as_array_mut()
                .unwrap()
                .push(json!({"rfilename": name, "size": 1, "blobId": "0".repeat(40)}));
        });
        refused(&hub, &["which is no path within a repository"]);
        assert_eq!(hub.requests().len(), 1);
        assert_eq!(names(hub.cache.path()), [""; 0]);
    }
    for shard in ["../model-00001-of-00003.safetensors", "/tmp/x.safetensors", "config.json", "missing.safetensors"] {
        let mut files: std::collections::BTreeMap<String, Vec<u8>> = std::fs::read_dir(source("tiny-clip-sharded"))
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
            .collect();
        let index = json!({"metadata": {}, "weight_map": {"logit_scale": shard}});
        files.insert("model.safetensors.index.json".into(), index.to_string().into_bytes());
        let hub = Hub::new(files);
        refused(&hub, &["model.safetensors.index.json", "which is no safetensors file of the repository"]);
        assert!(hub.requests().iter().all(|r| r.host == "hub"), "no weights were asked for");
    }
}

#[test]
fn answers_that_make_no_sense() {
    for (body, message) in [
        ("<html>Welcome to this network</html>".to_owned(), "is not understood"),
        ("{}".into(), "is not understood"),
        (json!({"sha": "main", "siblings": []}).to_string(), "names no commit"),
        (json!({"sha": "0".repeat(40), "siblings": []}).to_string(), "has no weights that an import reads"),
        (
            json!({"sha": "0".repeat(40), "siblings": [], "x": "x".repeat(17 << 20)}).to_string(),
            "is longer than 16777216 bytes",
        ),
    ] {
        let hub = Hub::with("tiny-clip");
        hub.rule(move |_, _| Response::new(200, body.clone()));
        refused(&hub, &[message]);
    }
    // Headers without an end, and a redirect without one.
    let hub = Hub::with("tiny-clip");
    hub.rule(|_, response| response.header("X-Long", "x".repeat(1 << 20)));
    refused(&hub, &["header"]);
    let hub = Hub::with("tiny-clip");
    hub.rule(|request, _| Response::new(307, "").header("Location", request.path.clone()));
    refused(&hub, &["leads through more than 8 redirects"]);
    for location in ["file:///etc/passwd", "gopher://x", "", "::"] {
        let hub = Hub::with("tiny-clip");
        hub.rule(move |_, _| Response::new(302, "").header("Location", location));
        refused(&hub, &["is no http or https URL"]);
    }
}

#[test]
fn what_an_import_would_refuse() {
    // Known from the listing: nothing is downloaded.
    for missing in ["tokenizer.json", "preprocessor_config.json", "config.json", WEIGHTS] {
        let hub = Hub::with("tiny-clip");
        hub.listing(move |listing| {
            listing["siblings"].as_array_mut().unwrap().retain(|file| file["rfilename"] != missing);
        });
        let named = if matches!(missing, "config.json" | WEIGHTS) { "weights that an import reads" } else { missing };
        refused(&hub, &[&format!("repository \"{REPOSITORY}\" has no {named}")]);
        assert_eq!(hub.requests().len(), 1);
    }
    // Known after the download, which is kept.
    let mut files: std::collections::BTreeMap<String, Vec<u8>> = std::fs::read_dir(source("tiny-clip"))
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .collect();
    let config = String::from_utf8(files["config.json"].clone()).unwrap();
    files.insert("config.json".into(), config.replace("\"quick_gelu\"", "\"swish\"").into_bytes());
    let hub = Hub::new(files);
    refused(&hub, &["activation \"swish\" is not supported"]);

    // Another model has the name.
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    models.import("tiny-clip-eps", "tiny-clip").ok();
    let error = hub.pull(&models, &[]).fails(1);
    assert!(error.contains("model \"tiny-clip\" exists with other content"), "{error}");
    assert_eq!(models.entries(), ["tiny-clip"]);
}
