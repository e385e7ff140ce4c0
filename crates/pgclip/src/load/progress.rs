//! Two bars: what is sent, and what is embedded.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Invisible where standard error is no terminal.
pub struct Bars {
    all: MultiProgress,
    pub sent: ProgressBar,
    pub embedded: ProgressBar,
}

impl Bars {
    pub fn new(files: u64, watches: bool) -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str, length: Option<u64>| {
            let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new).with_message(name);
            let style =
                ProgressStyle::with_template("{msg:<9} {bar:32} {human_pos} of {human_len}, {per_sec}, {eta} left");
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        };
        let sent = all.add(bar("sent", Some(files)));
        let embedded = if watches { all.add(bar("embedded", Some(0))) } else { ProgressBar::hidden() };
        Self { all, sent, embedded }
    }

    pub fn clear(&self) {
        let _ = self.all.clear();
    }
}
