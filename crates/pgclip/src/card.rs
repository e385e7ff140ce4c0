//! `inspect`: a model card in words, of what an import would install.
//!
//! It is printed from the spec's serialised form: what a later version adds to the spec appears under its own name
//! until it gets words here.

use std::fs;
use std::path::Path;

use clip_core::import::{self, Directories, Inspection};
use clip_core::language::is_language;
use clip_core::{Error, Precision, Result};
use serde_json::Value;

use crate::files::read;
use crate::license;
use crate::models::{directory_name, megabytes, size};
use crate::pull::plan::{self, Plan};

pub fn card(source: &Path, images: Option<&Path>) -> Result<()> {
    let found = import::inspect(Directories { model: source, images })?;
    let spec = serde_json::to_value(&found.spec).map_err(|e| Error::internal(format!("spec: {e}")))?;
    match directory_name(source) {
        Ok(name) => line("name", &format!("{name}, unless --name gives another")),
        Err(e) => line("name", &format!("has to be given with --name: {e}")),
    }
    line("architecture", &found.spec.family().replace('_', " "));
    line("license", &license_line(&found.license));
    line("dimensions", &spec["dimensions"].to_string());
    line("parameters", &format!("{:.1} million", found.parameters as f64 / 1e6));
    line("scores", &scores(&spec));
    line("text tower", &tower(&spec["text"]["tower"]));
    line("text input", &text_input(found.tokenizer(), &spec["text"])?);
    line("text pooling", &pooling(&spec["text"]["pooling"]));
    line("vision tower", &tower(&spec["vision"]["tower"]));
    line("vision input", &vision_input(&spec));
    line("image reading", &image_reading(&spec["image"]));
    line("image resize", &resize(&spec["image"]));
    line("image levels", &levels(&spec["image"]));
    if found.one_cone {
        line("modality gap", "none, as trained");
    }
    if spec["calibration"] != "none" {
        line("calibration", &words(&spec["calibration"]));
    }
    for (what, value) in unknown(&spec) {
        line(&what, &words(value));
    }
    files(source, plan::of(images.is_some()))?;
    if let Some(images) = images {
        files(images, plan::of(false))?;
    }
    line("would write", &disk(&found)?);
    Ok(())
}

fn license_line(license: &str) -> String {
    let forbids = license::forbids_commercial_use(license);
    format!("{license}{}", if forbids { ", which forbids commercial use: import wants --accept-license" } else { "" })
}

fn line(what: &str, value: &str) {
    println!("{what:<16} {value}");
}

/// A value as the spec's file has it, without the file's punctuation.
fn words(value: &Value) -> String {
    match value {
        Value::String(word) => word.replace('_', " "),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{} {}", key.replace('_', " "), words(value)))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        // Means and the like are f32 in the spec: as many digits as that has.
        Value::Number(n) if n.is_f64() => format!("{}", n.as_f64().unwrap_or_default() as f32),
        other => other.to_string(),
    }
}

/// Fields of the spec that have no words above.
fn unknown(spec: &Value) -> Vec<(String, &Value)> {
    const KNOWN: [(&str, &[&str]); 4] = [
        ("", &["architecture", "dimensions", "logit_scale", "scoring", "text", "vision", "image", "calibration"]),
        ("text", &["tower", "vocab_size", "context_length", "pooling", "cleaning"]),
        ("vision", &["tower", "image_size", "patch_size"]),
        ("image", &["orientation", "alpha", "resize", "filter", "crop", "centre", "rescale", "mean", "std"]),
    ];
    let mut unknown = Vec::new();
    for (section, known) in KNOWN {
        let fields = if section.is_empty() { spec } else { &spec[section] };
        for (field, value) in fields.as_object().into_iter().flatten() {
            if !known.contains(&field.as_str()) {
                unknown.push((format!("{section} {}", field.replace('_', " ")).trim().to_owned(), value));
            }
        }
    }
    unknown
}

fn scores(spec: &Value) -> String {
    let scale = spec["logit_scale"].as_f64().unwrap_or_default().exp();
    match &spec["scoring"]["sigmoid"]["bias"] {
        Value::Null => format!("softmax of cosine times {scale:.3}, over all labels"),
        bias => format!("sigmoid of cosine times {scale:.3} plus {}, each label for itself", words(bias)),
    }
}

fn tower(t: &Value) -> String {
    let activation = match t["activation"].as_str() {
        Some("quick_gelu") => "QuickGELU".into(),
        Some("gelu") => "GELU".into(),
        Some("gelu_tanh") => "GELU (tanh approximation)".into(),
        Some("silu") => "SwiGLU".into(),
        _ => words(&t["activation"]),
    };
    let eps = t["layer_norm_eps"].as_f64().unwrap_or_default();
    format!(
        "{} layers, width {}, {} heads, MLP {}, {activation}, layer norm eps {eps:e}",
        t["layers"], t["hidden"], t["heads"], t["intermediate"]
    )
}

fn text_input(tokenizer: &[u8], text: &Value) -> Result<String> {
    let tokenizer: Value =
        serde_json::from_slice(tokenizer).map_err(|e| Error::invalid_model(format!("tokenizer.json: {e}")))?;
    let kind = tokenizer["model"]["type"].as_str().unwrap_or("unnamed");
    let cleaning = match text["cleaning"].as_str() {
        None | Some("none") => String::new(),
        Some("lowercase") => "in lower case, ".into(),
        Some("canonical") => "in lower case without punctuation, ".into(),
        Some("open_clip_whitespace") => "repaired (ftfy), ".into(),
        Some("open_clip_lower") => "repaired (ftfy) and in lower case, ".into(),
        Some("open_clip_canonical") => "repaired (ftfy), in lower case without punctuation, ".into(),
        Some(other) => format!("cleaned ({other}), "),
    };
    let languages = match &text["layers"]["m2m100"] {
        Value::Null => String::new(),
        _ => languages(&tokenizer),
    };
    Ok(format!(
        "{cleaning}{} tokens at most, {kind} tokenizer, vocabulary of {}{languages}",
        text["context_length"], text["vocab_size"]
    ))
}

/// Which languages a text can be in, of a tokenizer that writes theirs in the first place.
fn languages(tokenizer: &Value) -> String {
    let added = tokenizer["added_tokens"].as_array().into_iter().flatten();
    let count = added.filter(|token| token["content"].as_str().is_some_and(is_language)).count();
    let usual = tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"].as_str().unwrap_or("none");
    format!(", {count} languages, {usual} where none is named")
}

fn pooling(pooling: &Value) -> String {
    match (pooling.as_str(), &pooling["first_eos"], &pooling["last"]["pad"]) {
        (Some("mean"), ..) => "the mean over all tokens".into(),
        (Some("first"), ..) => "at the first token".into(),
        (Some("largest_id"), ..) => "at the largest token id, which is the end token".into(),
        (_, Value::Number(id), _) => format!("at the first end token ({id})"),
        (_, _, Value::Number(pad)) => format!("at the last position, texts being filled up with token {pad}"),
        _ => words(pooling),
    }
}

fn vision_input(spec: &Value) -> String {
    let (size, patch) = (&spec["vision"]["image_size"], &spec["vision"]["patch_size"]);
    let pooled = match spec["architecture"].as_str() {
        _ if !spec["vision"]["layers"]["pe_core"].is_null() => ", pooled by attention",
        _ if spec["vision"]["layers"]["fast_vit"].is_string() => ", pooled as their mean",
        Some("clip") => ", pooled at the class token",
        Some("siglip") => ", pooled by attention",
        _ => "",
    };
    format!("{size} x {size} pixels in patches of {patch} x {patch}{pooled}")
}

fn image_reading(image: &Value) -> String {
    let orientation = match image["orientation"].as_str() {
        Some("exif") => "turned as EXIF says".into(),
        _ => words(&image["orientation"]),
    };
    let alpha = match image["alpha"].as_str() {
        Some("drop") => "transparency dropped".into(),
        _ => words(&image["alpha"]),
    };
    format!("{orientation}, {alpha}")
}

fn resize(image: &Value) -> String {
    let (filter, crop) = (words(&image["filter"]), &image["crop"]);
    match (&image["resize"]["shortest_edge"], &image["resize"]["squash"]) {
        (Value::Number(side), _) => {
            let half = if image["centre"] == "half_even" { ", halves rounded to even" } else { "" };
            format!("short side to {side} pixels, {filter}, then the centre {crop} x {crop}{half}")
        }
        (_, Value::Number(side)) => format!("to {side} x {side} pixels whatever the aspect, {filter}"),
        _ if image["resize"]["patches"].is_object() => {
            let (size, most) = (&image["resize"]["patches"]["size"], &image["resize"]["patches"]["most"]);
            format!("to at most {most} patches of {size} x {size} pixels, the aspect kept, {filter}")
        }
        _ => format!("{}, {filter}, {crop} x {crop}", words(&image["resize"])),
    }
}

fn levels(image: &Value) -> String {
    let rescale = image["rescale"].as_f64().unwrap_or_default();
    let rescale = if rescale == 1.0 / 255.0 { "divided by 255".into() } else { format!("times {rescale}") };
    format!("{rescale}, minus {}, divided by {}", words(&image["mean"]), words(&image["std"]))
}

/// What an import reads; the list is that of a download.
fn files(source: &Path, plan: Plan) -> Result<()> {
    let prefix = plan::prefix(|name| source.join(name).is_file());
    let path = |name: &str| if name == plan::CARD { source.join(name) } else { source.join(prefix).join(name) };
    let has = |name: &str| path(name).is_file();
    let timm = plan::is_ambiguous(has) && !plan::is_of_transformers(&read(&path(plan::CONFIG))?);
    let names = plan("directory", &|name| has(name) && !(timm && name == plan::CONFIG))?;
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if let Some(index) = names.iter().find(|name| plan::is_index(name)).cloned() {
        names.extend(plan::shards(&index, &read(&path(&index))?, has)?);
    }
    for (i, name) in names.iter().enumerate() {
        let bytes = fs::metadata(path(name)).map_or(0, |m| m.len());
        line(if i == 0 { "files read" } else { "" }, &format!("{name}, {}", size(bytes)));
    }
    Ok(())
}

fn disk(found: &Inspection) -> Result<String> {
    let of = |precision: Precision| Ok(format!("{} in {precision}", megabytes(found.bytes(precision)?)));
    let parts = Precision::ALL.into_iter().map(of).collect::<Result<Vec<_>>>()?;
    Ok(format!("weights of {}, and the tokenizer", parts.join(", of ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_words_of_the_spec() {
        assert_eq!(words(&json!([0.48145466f32, 0.5])), "0.48145467, 0.5");
        assert_eq!(words(&json!({"last_token": {"pad_id": 1}})), "last token pad id 1");
    }

    #[test]
    fn what_is_new_is_not_left_out() {
        let spec = json!({"architecture": "clip", "glow": 3, "text": {"pooling": 1, "new_field": "a_b"}, "image": {}});
        let unknown: Vec<_> = unknown(&spec).into_iter().map(|(what, value)| (what, words(value))).collect();
        assert_eq!(unknown, [("glow".to_owned(), "3".to_owned()), ("text new field".into(), "a b".into())]);
        let patches = json!({"resize": {"patches": {"size": 16, "most": 256}}, "filter": "bilinear", "crop": 256});
        assert_eq!(resize(&patches), "to at most 256 patches of 16 x 16 pixels, the aspect kept, bilinear");
        assert_eq!(resize(&json!({"resize": {"pad_to": 9}, "filter": "box", "crop": 9})), "pad to 9, box, 9 x 9");
    }
}
