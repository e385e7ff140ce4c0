//! The program under test, run on a model directory of its own.

// Each test binary uses a part of this.
#![allow(dead_code)]

pub mod hub;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// One of the tiny models of clip-core's tests: `tiny-clip`, `tiny-clip-eps`, ...
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clip-core/tests/golden/models").join(name)
}

/// A real picture, a PNG with a palette or alpha.
pub fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/pictures").join(name)
}

/// What a run of the program left: exit code and both streams.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(command: &mut Command) -> Run {
    let output = command.output().expect("pgclip does not start");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let run = Run {
        code: output.status.code().expect("pgclip was killed by a signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    run
}

impl Run {
    /// Standard output of a run that must have ended well and without a complaint.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "stdout: {}", self.stdout);
        self.stdout
    }

    /// Standard error of a run that must have failed, by `code`, and printed nothing else.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "stderr: {}", self.stderr);
        self.stderr
    }
}

/// The program without the caller's settings: a shell's background jobs, for one, ignore SIGINT.
pub fn pgclip() -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_pgclip")]);
    for setting in ["PGCLIP_MODEL_DIR", "PGCLIP_CACHE_DIR", "PG_CONFIG", "HF_ENDPOINT", "HF_TOKEN", "SSL_CERT_FILE"] {
        command.env_remove(setting);
    }
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command
}

/// A model directory that goes away with the test.
pub struct Models(TempDir);

impl Models {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// With `tiny-clip` in it, as `tiny`.
    pub fn with_tiny() -> Self {
        let models = Self::new();
        models.import("tiny-clip", "tiny").ok();
        models
    }

    /// Not there before the first import.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("share/models")
    }

    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run {
        run(pgclip().args(args).env("PGCLIP_MODEL_DIR", self.path()))
    }

    pub fn import(&self, golden: &str, name: &str) -> Run {
        self.run(["import".as_ref(), source(golden).as_os_str(), "--name".as_ref(), name.as_ref()])
    }

    /// Changes one file of an installed model in place.
    pub fn edit(&self, model: &str, file: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path().join(model).join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        edit(&mut bytes);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Everything in the directory, hidden files too.
    pub fn entries(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path()) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
