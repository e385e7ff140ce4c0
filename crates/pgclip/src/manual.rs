//! Man pages and completions, made of the command line's own definition.

use std::fs;
use std::path::Path;

use clap_complete::Shell;
use clip_core::{Error, ErrorKind, Result};

use crate::args;

/// Writes them where Debian looks for them, under `prefix` (`/usr`).
pub fn write(prefix: &Path) -> Result<()> {
    let failed = |path: &Path, e: std::io::Error| {
        Error::new(ErrorKind::MissingFile, format!("could not write {}: {e}", path.display()))
    };
    let directory = |name: &str| {
        let path = prefix.join(name);
        fs::create_dir_all(&path).map_err(|e| failed(&path, e)).map(|()| path)
    };
    let pages = directory("share/man/man1")?;
    clap_mangen::generate_to(args::definition(), &pages).map_err(|e| failed(&pages, e))?;

    let shells = [
        (Shell::Bash, "share/bash-completion/completions", "pgclip"),
        (Shell::Zsh, "share/zsh/vendor-completions", "_pgclip"),
        (Shell::Fish, "share/fish/vendor_completions.d", "pgclip.fish"),
    ];
    for (shell, name, file) in shells {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut args::definition(), "pgclip", &mut script);
        let path = directory(name)?.join(file);
        fs::write(&path, script).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}
