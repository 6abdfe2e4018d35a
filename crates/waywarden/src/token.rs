//! `waywarden token`: who may use the HTTP API.

use crate::store::{Data, block_on};
use anyhow::{Result, bail};
use std::io::Write;
use waywarden_console::auth::new_secret;
use waywarden_store::{Role, StoreError, Token};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print its secret, once.
    Make {
        /// Name under which it stands in the records of use.
        name: String,
        /// viewer, operator, agency or administrator.
        #[arg(long)]
        role: String,
        /// Days until it expires.
        #[arg(long, default_value_t = 365)]
        days: i64,
    },
    /// List tokens; secrets are not kept and not shown.
    List,
    /// Withdraw a token at once.
    Withdraw { name: String },
}

pub fn run(args: Args) -> Result<()> {
    block_on(act(args))
}

async fn act(args: Args) -> Result<()> {
    let store = args.data.open().await?;
    let now = crate::clock::now();
    let mut out = std::io::stdout();
    match args.action {
        Action::Make { name, role, days } => {
            let Some(role) = Role::from_name(&role) else {
                bail!(
                    "there is no role `{role}`; there are: viewer, operator, agency, administrator"
                );
            };
            if days < 1 {
                bail!("--days is {days}, it must be at least 1");
            }
            let (secret, hash) = new_secret();
            let expires = now.plus_millis(days.saturating_mul(86_400_000));
            let token = Token {
                name,
                role,
                created: now,
                expires,
                withdrawn: None,
            };
            let named = token.name.clone();
            match store.create_token(hash, token).await {
                Err(StoreError::Conflict { .. }) => bail!(
                    "a token named `{named}` is in force; withdraw it first, or take another name"
                ),
                made => made?,
            }
            writeln!(out, "{secret}")?;
        }
        Action::List => {
            for t in store.tokens().await? {
                let state = if t.is_valid_at(now) {
                    "valid"
                } else {
                    "not valid"
                };
                writeln!(
                    out,
                    "{}\t{}\tuntil {}\t{state}",
                    t.name,
                    t.role.name(),
                    t.expires
                )?;
            }
        }
        Action::Withdraw { name } => {
            store.withdraw_token(&name, now).await?;
        }
    }
    Ok(())
}
