//! `known`: the list of models, filtered and as JSON.

mod common;

use common::*;
use serde_json::Value;

fn known(args: &[&str]) -> String {
    run(pgclip().arg("known").args(args)).ok()
}

#[test]
fn a_table_and_a_recommendation() {
    let all = known(&[]);
    let line = all.lines().find(|line| line.starts_with("clip-vit-base-patch32 ")).expect("B/32 is known");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[1..], ["ViT-B/32", "512", "224", "151", "M", "en", "63.2", "not", "stated"], "{line}");
    let line = all.lines().find(|line| line.starts_with("dfn2b-clip-vit-b-16 ")).unwrap();
    assert!(line.ends_with(" apple-amlr, not commercial"), "{line}");
    assert!(all.lines().last().unwrap().starts_with("For this machine ("), "{all}");

    let places = known(&["--for", "places"]);
    assert_eq!(places.lines().filter(|line| line.contains("ViT-")).count(), 1, "{places}");
    assert!(places.starts_with("name ") && places.contains("\nstreetclip "), "{places}");
    assert!(places.lines().last().unwrap().starts_with("None of these fits this machine ("), "{places}");

    let error = run(pgclip().args(["known", "--for", "cats"])).fails(2);
    assert!(error.contains("photos, products, languages, small, medical, places"), "{error}");
}

#[test]
fn as_json() {
    let all: Value = serde_json::from_str(&known(&["--json", "--for", "languages"])).unwrap();
    let models = all["models"].as_array().unwrap();
    assert!(models.len() > 10 && models.iter().all(|model| model["languages"] != "en"), "{all}");
    let model = models.iter().find(|model| model["name"] == "siglip2-base-patch16-224").unwrap();
    assert_eq!(model["repository"], "google/siglip2-base-patch16-224");
    assert_eq!((model["dimensions"].as_u64(), model["accuracy"].as_f64()), (Some(768), Some(78.2)));
    assert_eq!((&model["noncommercial"], &model["for"][0]), (&Value::Bool(false), &Value::from("photos")));
    assert!(all["recommended"]["cores"].as_u64().unwrap() > 0, "{all}");
    assert!(models.iter().any(|model| model["name"] == all["recommended"]["name"]), "{all}");
}
