//! What a terminal says about itself when it is asked.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub kitty: bool,
    pub sixel: bool,
    /// Pixels of a character.
    pub cell: Option<(u32, u32)>,
}

/// Whether kitty's graphics are known, how large a character is, and last what every terminal answers: its attributes.
const QUESTIONS: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c";
const PATIENCE: Duration = Duration::from_millis(400);

/// Sets the terminal back to what it was.
struct Raw<'a> {
    tty: &'a File,
    before: Termios,
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.tty, SetArg::TCSANOW, &self.before);
    }
}

/// Asks the terminal that this program was started from; `None` where there is none that answers.
pub fn ask() -> Option<Answer> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    // In the background, to change the terminal would stop this program.
    if tcgetpgrp(&tty).ok()? != getpgrp() {
        return None;
    }
    let before = tcgetattr(&tty).ok()?;
    let mut raw = before.clone();
    cfmakeraw(&mut raw);
    let _raw = Raw { tty: &tty, before };
    tcsetattr(&tty, SetArg::TCSANOW, &raw).ok()?;
    (&tty).write_all(QUESTIONS).ok()?;
    let (mut said, end) = (Vec::new(), Instant::now() + PATIENCE);
    while attributes(&said).is_none() && said.len() < 4096 {
        let left = end.checked_duration_since(Instant::now())?;
        let mut waiting = [PollFd::new(tty.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left.as_millis().max(1)).ok()?;
        if poll(&mut waiting, timeout).ok()? == 0 {
            return None;
        }
        let mut part = [0; 256];
        match (&tty).read(&mut part).ok()? {
            0 => return None,
            n => said.extend_from_slice(part.get(..n)?),
        }
    }
    Some(understood(&said))
}

fn understood(said: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(said);
    let cell = text.split("\x1b[6;").nth(1).and_then(|rest| {
        let (height, width) = rest.split_once('t')?.0.split_once(';')?;
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        // Nobody has letters of other sizes; a picture must not become huge by an answer.
        ((2..=100).contains(&width) && (2..=200).contains(&height)).then_some((width, height))
    });
    Answer {
        kitty: text.contains("\x1b_Gi=31;OK"),
        sixel: attributes(said).is_some_and(|all| all.split(';').skip(1).any(|attribute| attribute == "4")),
        cell,
    }
}

/// What follows `ESC [ ?` and ends with `c`.
fn attributes(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let (attributes, _) = text.split("\x1b[?").nth(1)?.split_once('c')?;
    Some(attributes.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let kitty = b"\x1b_Gi=31;OK\x1b\\\x1b[6;22;11t\x1b[?62;52;c";
        assert_eq!(understood(kitty), Answer { kitty: true, sixel: false, cell: Some((11, 22)) });
        assert_eq!(understood(b"\x1b[?62;4;22c"), Answer { kitty: false, sixel: true, cell: None });
        assert_eq!(understood(b"\x1b[6;60000;1t\x1b[?4c"), Answer::default());
        assert_eq!(attributes(b"\x1b[?62;4"), None);
    }
}
