//! Connections: a pool, and what every session is told when it begins.

use super::Options;
use super::tls;
use super::trouble::{Outcome, Trouble};
use crate::batch::StoreError;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use std::time::Duration;

/// A connection that cannot be made within this time is not made.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) fn pool(server: &str, options: &Options) -> Result<Pool, StoreError> {
    let (mut config, tls) = tls::read(server, options.ca_file.as_deref())?;
    config
        .application_name("waywarden")
        .connect_timeout(CONNECT)
        .keepalives_idle(options.tcp_timeout / 2)
        .keepalives_interval(options.tcp_timeout / 6)
        .keepalives_retries(3)
        .tcp_user_timeout(options.tcp_timeout);
    let manager = Manager::from_config(
        config,
        tls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let settings = settings(options);
    Pool::builder(manager)
        .max_size(options.connections.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(CONNECT))
        .wait_timeout(Some(options.statement_timeout))
        .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let settings = settings.clone();
            Box::pin(async move {
                let told = client.batch_execute(&settings).await;
                told.map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|e| StoreError::Failed(format!("PostgreSQL: {e}")))
}

/// No session waits without an end, and none acknowledges what a crash of the server would undo. Nor
/// does one count with disks that turn, where nobody has said so: of a source that has just come the
/// server believes to have a few rows, and would read and sort all of them for every page.
fn settings(o: &Options) -> String {
    let ms = |d: Duration| d.as_millis().clamp(1, 2_000_000_000);
    format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock};
         SET idle_in_transaction_session_timeout = {idle};
         SET tcp_user_timeout = {tcp}; SET tcp_keepalives_idle = {tcp_s};
         SET tcp_keepalives_interval = {tcp_s}; SET tcp_keepalives_count = 3;
         SET client_connection_check_interval = '10s'; SET timezone = 'UTC';
         SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') = 'off';
         SELECT set_config('random_page_cost', '1.1', false)
             WHERE current_setting('random_page_cost') = '4';",
        statement = ms(o.statement_timeout),
        lock = ms(o.lock_timeout),
        idle = ms(o.idle_timeout),
        tcp = ms(o.tcp_timeout),
        tcp_s = (o.tcp_timeout.as_secs() / 3).max(1),
    )
}

/// A connection that belongs to its holder until it is dropped.
pub(super) async fn own(pool: &Pool) -> Outcome<ClientWrapper> {
    Ok(Object::take(pool.get().await?))
}

/// How long is waited before what failed is tried again: longer with every failure.
#[derive(Debug)]
pub(super) struct Patience {
    until: tokio::time::Instant,
    pause: Duration,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self {
            until: tokio::time::Instant::now() + limit,
            pause: Duration::from_millis(20),
        }
    }

    /// Waits, or gives the trouble back when there is no point or no time left.
    pub async fn bear(&mut self, trouble: Trouble) -> Result<(), StoreError> {
        let text = match &trouble {
            Trouble::Store(_) => return Err(trouble.into()),
            Trouble::Lost(text) | Trouble::Again(text) => text,
        };
        if tokio::time::Instant::now() + self.pause > self.until {
            return Err(trouble.into());
        }
        tracing::warn!(error = text, pause = ?self.pause, "the store is tried again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(5));
        Ok(())
    }
}
