//! Progress of long work on standard error.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar that appears once the length is known; invisible where standard error is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new(template: &str, message: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_message(message);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub fn set(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}
