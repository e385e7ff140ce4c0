//! The one mapping from the engine's errors to SQLSTATEs.

use clip_core::{Error, ErrorKind};
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, pg_sys};

/// What the PostgreSQL layer itself finds wrong, beside the engine's errors.
#[derive(Clone, Copy)]
pub enum SqlState {
    /// A table and a model, or a vector and a column, do not belong together.
    DataException,
    NullNotAllowed,
    InvalidParameter,
    NotSupported,
    UndefinedTable,
    UndefinedColumn,
    DatatypeMismatch,
    UndefinedObject,
    AmbiguousParameter,
    ObjectInUse,
    InsufficientPrivilege,
    TriggerProtocol,
    CharacterNotInRepertoire,
    ConfigurationLimitExceeded,
    ProgramLimitExceeded,
    NotInPrerequisiteState,
    ActiveTransaction,
    ArrayElement,
    /// Of a warning.
    Warning,
    /// Of a notice.
    Success,
}

pub trait OrRaise<T> {
    /// The value, or the failure as a PostgreSQL error.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for clip_core::Result<T> {
    #[track_caller]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(e) => raise_code(code(e.kind), e.message, e.hint),
        }
    }
}

#[track_caller]
pub fn raise(state: SqlState, message: impl Into<String>, hint: Option<&str>) -> ! {
    raise_code(code_of(state), message.into(), hint.map(str::to_owned))
}

/// Tells and goes on.
pub fn tell(level: PgLogLevel, state: SqlState, message: String, hint: &str) {
    report(level, code_of(state), message, Some(hint.to_owned()));
}

fn code_of(state: SqlState) -> PgSqlErrorCode {
    use PgSqlErrorCode::*;
    match state {
        SqlState::DataException => ERRCODE_DATA_EXCEPTION,
        SqlState::NullNotAllowed => ERRCODE_NULL_VALUE_NOT_ALLOWED,
        SqlState::InvalidParameter => ERRCODE_INVALID_PARAMETER_VALUE,
        SqlState::NotSupported => ERRCODE_FEATURE_NOT_SUPPORTED,
        SqlState::UndefinedTable => ERRCODE_UNDEFINED_TABLE,
        SqlState::UndefinedColumn => ERRCODE_UNDEFINED_COLUMN,
        SqlState::DatatypeMismatch => ERRCODE_DATATYPE_MISMATCH,
        SqlState::UndefinedObject => ERRCODE_UNDEFINED_OBJECT,
        SqlState::AmbiguousParameter => ERRCODE_AMBIGUOUS_PARAMETER,
        SqlState::ObjectInUse => ERRCODE_OBJECT_IN_USE,
        SqlState::InsufficientPrivilege => ERRCODE_INSUFFICIENT_PRIVILEGE,
        SqlState::TriggerProtocol => ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        SqlState::CharacterNotInRepertoire => ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
        SqlState::ConfigurationLimitExceeded => ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        SqlState::ProgramLimitExceeded => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        SqlState::NotInPrerequisiteState => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::ActiveTransaction => ERRCODE_ACTIVE_SQL_TRANSACTION,
        SqlState::ArrayElement => ERRCODE_ARRAY_ELEMENT_ERROR,
        SqlState::Warning => ERRCODE_WARNING,
        SqlState::Success => ERRCODE_SUCCESSFUL_COMPLETION,
    }
}

#[track_caller]
pub fn raise_code(code: PgSqlErrorCode, message: String, hint: Option<String>) -> ! {
    report(PgLogLevel::ERROR, code, message, hint);
    unreachable!("an error report of level ERROR does not return")
}

/// Reports and goes on: for listings and for the start of the server, which one bad model must not stop.
pub fn warn(e: Error) {
    report(PgLogLevel::WARNING, code(e.kind), e.message, e.hint);
}

#[track_caller]
fn report(level: PgLogLevel, code: PgSqlErrorCode, message: String, hint: Option<String>) {
    let mut report = ErrorReport::new(code, message, "pg_clip");
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    report.report(level);
}

/// The failure's SQLSTATE in PostgreSQL's encoding.
pub fn sqlstate(e: &Error) -> i32 {
    code(e.kind) as i32
}

/// A SQLSTATE's five characters, which PostgreSQL packs into six bits each.
pub fn sqlstate_text(code: i32) -> String {
    (0..5).map(|i| char::from(b'0' + (code >> (6 * i) & 0x3f) as u8)).collect()
}

pub fn code(kind: ErrorKind) -> PgSqlErrorCode {
    use pg_sys::errcodes::PgSqlErrorCode::*;
    match kind {
        ErrorKind::InvalidImage => ERRCODE_INVALID_BINARY_REPRESENTATION,
        ErrorKind::LimitExceeded => ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        ErrorKind::OutOfMemory => ERRCODE_OUT_OF_MEMORY,
        ErrorKind::UnknownModel => ERRCODE_UNDEFINED_OBJECT,
        ErrorKind::InvalidName => ERRCODE_INVALID_NAME,
        ErrorKind::MissingFile => ERRCODE_UNDEFINED_FILE,
        ErrorKind::Corrupted | ErrorKind::InvalidModel => ERRCODE_DATA_CORRUPTED,
        ErrorKind::Unsupported => ERRCODE_FEATURE_NOT_SUPPORTED,
        ErrorKind::AlreadyExists => ERRCODE_DUPLICATE_OBJECT,
        ErrorKind::InvalidArgument => ERRCODE_INVALID_PARAMETER_VALUE,
        ErrorKind::Cancelled => ERRCODE_QUERY_CANCELED,
        ErrorKind::Internal => ERRCODE_INTERNAL_ERROR,
    }
}
