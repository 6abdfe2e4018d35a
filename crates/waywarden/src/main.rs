//! The program: every role and every tool is a subcommand.

mod decode;
mod evaluate;
mod profiles;
mod zone;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Journey monitoring of commercial vehicles.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what frames in hex say.
    Decode(decode::Args),
    /// Judge records on file by the law, without a server.
    Evaluate(evaluate::Args),
    /// Show the built-in profiles of the law.
    Profiles(profiles::Args),
}

/// 0 done, 1 failed, 2 usage (clap's own code for it).
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Decode(args) => decode::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Profiles(args) => profiles::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waywarden: {error:#}");
            ExitCode::FAILURE
        }
    }
}
