//! What may go wrong between this program and the server, by what helps against it.

use crate::batch::StoreError;
use std::error::Error as _;
use std::io;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is gone, or the server is not there: a new connection may help.
    Lost(String),
    /// The transaction was given up by the server, to the good of others: once more may help.
    Again(String),
    /// Nothing helps.
    Store(StoreError),
}

pub(super) type Outcome<T> = Result<T, Trouble>;

/// The session or the server ended; what was not committed is undone.
fn ends_session(code: &SqlState) -> bool {
    [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(code)
        || code.code().starts_with("08")
}

fn may_succeed_later(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
    ]
    .contains(code)
        // Insufficient resources: the disk is full, memory is short.
        || code.code().starts_with("53")
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        if let Some(refusal) = super::tls::refusal(&e) {
            return Self::Store(refusal);
        }
        let Some(db) = e.as_db_error() else {
            let text = describe(&e);
            return match is_lost(&e) {
                true => Self::Lost(text),
                false => Self::Store(StoreError::Failed(text)),
            };
        };
        let code = db.code();
        // Messages on data may quote it.
        let text = if code.code().starts_with("22") {
            format!("SQLSTATE {}", code.code())
        } else {
            format!("{} (SQLSTATE {})", db.message(), code.code())
        };
        if ends_session(code) {
            Self::Lost(text)
        } else if may_succeed_later(code) {
            Self::Again(text)
        } else {
            Self::Store(StoreError::Failed(text))
        }
    }
}

/// The library tells kinds of errors apart by their texts only.
fn is_lost(e: &Error) -> bool {
    let text = e.to_string();
    let kinds = ["error connecting", "timeout", "unexpected message"];
    e.is_closed()
        || e.source().is_some_and(|s| s.is::<io::Error>())
        || kinds.iter().any(|kind| text.starts_with(kind))
}

fn describe(e: &Error) -> String {
    match e.source() {
        Some(source) if is_lost(e) => format!("{e}: {source}"),
        _ => e.to_string(),
    }
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<std::convert::Infallible> for Trouble {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<deadpool_postgres::PoolError> for Trouble {
    fn from(e: deadpool_postgres::PoolError) -> Self {
        use deadpool_postgres::{HookError, PoolError};
        match e {
            PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)) => e.into(),
            e => Self::Lost(e.to_string()),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(t: Trouble) -> Self {
        match t {
            Trouble::Lost(text) | Trouble::Again(text) => Self::Failed(text),
            Trouble::Store(e) => e,
        }
    }
}
