//! Why a row has no vector.

use clip_core::{Error, ErrorKind, Modality};
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::spi;

use super::retry_policy::Cause;
use crate::attachment::UnknownModality;
use crate::error::sqlstate_text;

#[derive(Clone, Debug)]
pub struct Failure {
    pub sqlstate: String,
    pub message: String,
    pub cause: Cause,
    /// What the row says that it is, where the row was read.
    pub modality: Option<String>,
}

impl Failure {
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self { sqlstate: sqlstate_text(code as i32), message: message.into(), cause: Cause::Row, modality: None }
    }

    pub fn unknown_modality(modality: String) -> Self {
        let unknown = UnknownModality(modality);
        let failure = Self::new(PgSqlErrorCode::ERRCODE_DATA_EXCEPTION, unknown.message());
        Self { modality: Some(unknown.0), ..failure }
    }

    /// Of a row that has its vector, though its image is not all there.
    pub fn incomplete(message: String) -> Self {
        let failure = Self::new(PgSqlErrorCode::ERRCODE_WARNING, message);
        failure.of_modality(Modality::Image)
    }

    /// Nothing is wrong with the row: what is around it is not as it has to be.
    pub fn of_environment(self) -> Self {
        Self { cause: Cause::Environment, ..self }
    }

    pub fn of_modality(self, modality: Modality) -> Self {
        Self { modality: self.modality.or_else(|| Some(modality.name().to_owned())), ..self }
    }

    pub fn code(&self) -> PgSqlErrorCode {
        let bits =
            self.sqlstate.bytes().rev().fold(0, |code, byte| code << 6 | i32::from(byte.wrapping_sub(b'0') & 0x3f));
        PgSqlErrorCode::from(bits)
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        // A model that is not there, or cannot be read, may be there later; a setting that it does not know, another one.
        let is_around = matches!(e.kind, ErrorKind::UnknownModel | ErrorKind::MissingFile | ErrorKind::InvalidArgument);
        // There is no place for a hint beside the message.
        let message = match e.hint {
            Some(hint) => format!("{} ({hint})", e.message),
            None => e.message,
        };
        let failure = Self::new(crate::error::code(e.kind), message);
        if is_around { failure.of_environment() } else { failure }
    }
}

impl From<spi::Error> for Failure {
    fn from(e: spi::Error) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, e.to_string())
    }
}
