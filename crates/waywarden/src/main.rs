//! The program: every role and every tool is a subcommand.

mod check_config;
mod clock;
mod config;
mod decode;
mod evaluate;
mod exit;
mod export;
mod fleet;
mod import;
mod profiles;
mod reads;
mod recalculate;
mod roles;
mod run;
mod store;
mod telemetry;
mod token;
mod zone;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What one thread takes another gives back, by the hundred thousand a second: the allocator of the
/// system has its threads wait for one another then.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Journey monitoring of commercial vehicles.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole product in this process, on embedded storage.
    Run(run::Args),
    /// Listen to devices, as one process of several.
    Gateway(roles::gateway::Args),
    /// Judge and file what the gateways made durable, as one process of several.
    Worker(roles::worker::Args),
    /// Serve the API and the page, as one process of several.
    Console(roles::console::Args),
    /// Take registers from files: all of them or nothing.
    Import(import::Args),
    /// Make, list and withdraw tokens of the HTTP API.
    Token(token::Args),
    /// Copy the store while it is in use.
    Backup(store::BackupArgs),
    /// Bring the store to this program's schema.
    Migrate(store::MigrateArgs),
    /// Check a configuration and print what differs from the defaults.
    CheckConfig(check_config::Args),
    /// Write positions, violations or sums over days to standard output.
    Export(export::Args),
    /// Judge a span of time again, or tell what that would change.
    Recalculate(recalculate::Args),
    /// Show who read personal data, when and for what.
    Reads(reads::Args),
    /// Drive a simulated fleet against a gateway.
    Simulate(fleet::SimulateArgs),
    /// Send recorded frames to a gateway.
    Replay(fleet::ReplayArgs),
    /// Show what frames in hex say.
    Decode(decode::Args),
    /// Judge records on file by the law, without a server.
    Evaluate(evaluate::Args),
    /// Show the built-in profiles of the law.
    Profiles(profiles::Args),
}

/// Exit codes: see [`exit`]; 2 is clap's own code for usage.
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Gateway(args) => roles::gateway::run(&args),
        Command::Worker(args) => roles::worker::run(&args),
        Command::Console(args) => roles::console::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Token(args) => token::run(args),
        Command::Backup(args) => store::backup(&args),
        Command::Migrate(args) => store::migrate(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Recalculate(args) => recalculate::run(&args),
        Command::Reads(args) => reads::run(&args),
        Command::Simulate(args) => fleet::simulate(args),
        Command::Replay(args) => fleet::replay(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Profiles(args) => profiles::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::failed(&error);
            exit::code(&error)
        }
    }
}
