//! `waywarden reads`: who read personal data, when and for what.

use crate::store::{Data, block_on};
use anyhow::Result;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// The newest so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// A line of JSON a read, the newest first: `at`, `token`, `what`, `object`, `purpose`.
///
/// # Errors
/// [`Ending::Missing`](crate::exit::Ending::Missing) where there is no store.
pub fn run(args: &Args) -> Result<()> {
    let reads = block_on(async {
        let store = args.data.open_existing().await?;
        Ok(store.reads(args.limit).await?)
    })?;
    let mut out = std::io::stdout().lock();
    for r in reads {
        let line = serde_json::json!({
            "at": r.at.to_string(), "token": r.token, "what": r.what, "object": r.object,
            "purpose": r.purpose,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
