//! The one error type of the engine.
//!
//! Every failure has a [`ErrorKind`], which callers map (PostgreSQL: to a SQLSTATE, the command line: to an exit
//! code), a message in PostgreSQL's style (lower case, no full stop, both the expected and the given) and sometimes
//! a hint (a sentence).

use std::fmt;

/// What every fallible function of the engine returns, unless it says otherwise.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, as far as a caller has to tell failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes are no image, or a damaged or truncated one.
    InvalidImage,
    /// An input is larger than a limit allows.
    LimitExceeded,
    /// The system refuses memory that a limit would allow.
    OutOfMemory,
    /// No model of that name is installed.
    UnknownModel,
    /// The name of a model breaks the rule `[a-z0-9._-]+`.
    InvalidName,
    /// A file of a model is missing, or cannot be read or written.
    MissingFile,
    /// A file of an installed model is damaged.
    Corrupted,
    /// An architecture, activation, format or precision that this version does not know.
    Unsupported,
    /// A model to import contradicts itself: a tensor is missing, left over or of the wrong shape.
    InvalidModel,
    /// The name is taken by another model.
    AlreadyExists,
    /// An argument makes no sense.
    InvalidArgument,
    /// The caller's `stop` asked for the work to end.
    Cancelled,
    /// A failure that should not happen, whatever the input.
    Internal,
}

/// A failure of the engine: its [kind](ErrorKind), and words for whoever has to act on it.
///
/// It displays as its message alone. Whoever shows it adds the hint.
///
/// ```
/// use clip_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::LimitExceeded, "image of 9 bytes exceeds the limit of 8 bytes")
///     .with_hint("Raise the limit.")
///     .context("row 7");
/// assert_eq!(error.to_string(), "row 7: image of 9 bytes exceeds the limit of 8 bytes");
/// assert_eq!(error.hint.as_deref(), Some("Raise the limit."));
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    /// What callers tell failures apart by.
    pub kind: ErrorKind,
    /// In lower case and without a full stop: what was expected, and what was given.
    pub message: String,
    /// A sentence that says what to do, where that is known.
    pub hint: Option<String>,
    /// Which input of a batch is at fault, counted from 0; `None` where it is the batch as a whole.
    pub item: Option<usize>,
}

impl Error {
    /// An error without a hint that blames no single input.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, item: None }
    }

    /// Blames one input of a batch.
    pub fn at(mut self, item: usize) -> Self {
        self.item = Some(item);
        self
    }

    /// Sets the hint, in place of one that is there. A hint is a whole sentence.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prefixes the message, as a failure climbs: `import "x": tensor ...`.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// [`ErrorKind::InvalidImage`]: the bytes of an image are to blame.
    pub fn invalid_image(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidImage, message)
    }

    /// [`ErrorKind::LimitExceeded`]: a limit that somebody has set is in the way, and may be raised.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::LimitExceeded, message)
    }

    /// [`ErrorKind::OutOfMemory`]: the system has refused what the limits allow.
    pub fn out_of_memory(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::OutOfMemory, message)
    }

    /// [`ErrorKind::Unsupported`]: the input may be sound, but this version does not read such.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::InvalidModel`]: files to import contradict each other or themselves.
    pub fn invalid_model(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidModel, message)
    }

    /// [`ErrorKind::Corrupted`]: an installed file is not what was installed.
    pub fn corrupted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupted, message)
    }

    /// [`ErrorKind::Internal`]: a fault of the engine. No input should lead here.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Shapes are checked before any tensor operation, so one that fails is [`ErrorKind::Internal`].
impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        Self::internal(format!("tensor operation failed: {e}"))
    }
}
