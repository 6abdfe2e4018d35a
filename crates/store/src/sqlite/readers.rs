//! Read-only connections, each lent to one short transaction at a time.

use super::open_reader;
use crate::batch::{Result, StoreError};
use rusqlite::Connection;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    /// As many permits as connections.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub fn open(path: &Path, count: usize) -> Result<Self> {
        let free = (0..count)
            .map(|_| open_reader(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(free.len())),
            free: Mutex::new(free),
        })
    }

    pub async fn run<T, F>(self: &Arc<Self>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let closed = |e: &dyn fmt::Display| StoreError::Failed(format!("reader: {e}"));
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|e| closed(&e))?;
        let pool = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let lent = pool.lend()?;
            let done = in_transaction(lent.conn(), f);
            // The connection is back before another may ask for it.
            drop(lent);
            drop(permit);
            done
        })
        .await
        .map_err(|e| closed(&e))?
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let conn = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .ok_or_else(|| StoreError::Failed("no reader is free".into()))?;
        Ok(Lent {
            pool: self,
            conn: Some(conn),
        })
    }
}

/// Gives the connection back also when the query panics.
struct Lent<'a> {
    pool: &'a Readers,
    conn: Option<Connection>,
}

impl Lent<'_> {
    fn conn(&self) -> &Connection {
        self.conn
            .as_ref()
            .expect("taken out only when it is given back")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(conn);
        }
    }
}

fn in_transaction<T>(conn: &Connection, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = conn.unchecked_transaction()?;
    let answer = f(&tx)?;
    tx.commit()?;
    Ok(answer)
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}
