//! The contract of the store: the same tests on every backend, each on a store of its own.
//!
//! The server comes from `WAYWARDEN_TEST_POSTGRES`, a connection string to a PostgreSQL with
//! TimescaleDB on which databases may be made; each test makes one and drops it.

// Helpers outside the tests' functions fail the test all the same.
#![allow(clippy::unwrap_used)]

/// Runs each test on both backends.
macro_rules! both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::fixture::Fixture::sqlite()).await;
            })+
        }

        mod timescale {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::fixture::Fixture::timescale().await).await;
            })+
        }
    };
}

mod alerts;
mod any;
mod aside;
mod contract;
mod evidence;
mod exact;
mod filing;
mod fixture;
mod late;
mod migration;
mod outcome;
mod proxy;
mod read;
mod redecode;
mod server;
mod sqlite;
mod sums;
mod tls;
