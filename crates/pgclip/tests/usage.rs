//! What the program says about itself, and to words that it does not know.

mod common;

use std::path::Path;

use common::*;

#[test]
fn every_command_has_help() {
    let overview = run(pgclip().arg("--help")).ok();
    let commands: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for expected in ["import", "inspect", "list", "verify", "embed"] {
        assert!(commands.contains(&expected), "{expected} is missing in\n{overview}");
    }
    for command in commands {
        let help = run(pgclip().args([command, "--help"])).ok();
        let first = help.lines().next().unwrap();
        assert!(first.len() > 10 && !first.starts_with("Usage"), "{command} does not say what it does:\n{help}");
        assert!(help.contains(&format!("Usage: pgclip {command}")), "{help}");
        // An option or argument without a word about it stands alone on its line. Wrapped text is indented further.
        let (_, options) = help.split_once("Usage: ").unwrap();
        for (i, line) in options.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if !line.trim_start().starts_with(['-', '<']) || indent > 6 {
                continue;
            }
            let below = options.lines().nth(i + 1).unwrap_or("").trim();
            let has_text = line.trim_start().contains("  ") || !(below.is_empty() || below.starts_with('-'));
            assert!(has_text, "{command} does not explain \"{}\"", line.trim());
        }
    }
}

#[test]
fn version_is_the_package_s() {
    assert_eq!(run(pgclip().arg("--version")).ok(), concat!("pgclip ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn unknown_words_are_usage_errors() {
    for (args, names) in [
        (&[][..], "Usage: pgclip"),
        (&["emebd"], "emebd"),
        (&["list", "--modeldir", "x"], "--modeldir"),
        (&["import"], "<SOURCE>"),
        (&["embed", "tiny"], "--text"),
        (&["embed", "tiny", "--text", "x", "--threads", "many"], "--threads"),
        (&["inspect", "x", "--model-dir", "y"], "--model-dir"),
    ] {
        let error = run(pgclip().args(args)).fails(2);
        assert!(error.contains(names), "{args:?}: {error}");
    }
}

#[test]
fn the_option_goes_before_the_environment() {
    let (one, other) = (Models::with_tiny(), Models::new());
    let path = one.path();
    let args = ["list".as_ref(), "--model-dir".as_ref(), path.as_os_str()];
    assert!(other.run(args).ok().contains("\ntiny "));
    assert!(other.run(["list"]).ok().starts_with("no model is installed"));
}

#[test]
fn without_postgresql_the_directory_has_to_be_named() {
    let error = run(pgclip().arg("list").env("PG_CONFIG", "/nonexistent/pg_config")).fails(1);
    assert!(error.contains("could not ask pg_config"), "{error}");
    assert!(error.contains("hint: Name the directory with --model-dir."), "{error}");
    let error = run(pgclip().arg("list").env("PG_CONFIG", "false")).fails(1);
    assert!(error.contains("could not ask pg_config"), "{error}");
}

#[test]
fn bench_times_what_it_is_asked_for() {
    let models = Models::new();
    models.import("tiny-clip", "tiny").ok();
    let output = models.run(["bench", "tiny", "--threads", "1", "--case", "text_b1_l10", "--case", "image_b8"]).ok();
    let lines: Vec<Vec<&str>> = output.lines().map(|line| line.split(' ').collect()).collect();
    let cases: Vec<_> = lines.iter().map(|words| (words[0], words[1])).collect();
    let expected = ["f32", "bf16", "int8"].map(|precision| [("image_b8", precision), ("text_b1_l10", precision)]);
    assert_eq!(cases, expected.concat());
    assert!(lines.iter().all(|words| words.len() == 3 && words[2].parse::<f64>().unwrap() > 0.0), "{output}");
    assert!(models.run(["bench", "tiny", "--case", "image_b9"]).fails(1).contains("image_b32"));

    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/pictures/ox.png");
    let photo = ["bench", "tiny", "--precision", "f32", "--photo", photo.to_str().unwrap(), "--case"];
    let output = models.run(photo.into_iter().chain(["photos", "--case", "pixels:ox.png"])).ok();
    let cases: Vec<&str> = output.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(cases, ["photos f32", "pixels:ox.png -"]);
    assert!(models.run(photo.into_iter().chain(["pixels:cow.png"])).fails(1).contains("pixels:ox.png"));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let prefix = tempfile::tempdir().unwrap();
    run(pgclip().arg("manual").arg(prefix.path())).ok();
    let read = |name: &str| std::fs::read_to_string(prefix.path().join(name)).unwrap();
    assert!(read("share/man/man1/pgclip-import.1").contains("model.safetensors"));
    assert!(read("share/man/man1/pgclip.1").contains("pgclip\\-import(1)"));
    assert!(!prefix.path().join("share/man/man1/pgclip-manual.1").exists());
    for script in [
        "share/bash-completion/completions/pgclip",
        "share/zsh/vendor-completions/_pgclip",
        "share/fish/vendor_completions.d/pgclip.fish",
    ] {
        assert!(read(script).contains("calibrate"), "{script}");
    }
}
