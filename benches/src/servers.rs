//! What devices are served by when it is not the whole program: the gateway with its log alone,
//! and a bare echo. Each in a process of its own, which ends when its standard input does.

use anyhow::{Context as _, Result};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, KafkaLog};
use waywarden_gateway::{
    Connect, GatewayConfig, Limits, Listener, Speaks, Spool, SpoolOptions, Surroundings,
    free_space_of, serve as serve_gateway, wire_sessions,
};
use waywarden_model::registry::{Registers, Registry, RegistryDirectory, UnknownPolicy};
use waywarden_model::{Protocol, Timestamp};
use waywarden_wire::Transport;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Server {
    /// The gateway on the embedded log, nothing behind it.
    Gateway,
    /// The gateway on Kafka, with its spool before it.
    KafkaGateway,
    /// The least that a gateway on Kafka can be.
    Stub,
    /// Gives back what it gets.
    Echo,
}

impl Server {
    /// As the command line has it.
    pub fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or_else(String::new, |v| v.get_name().to_owned())
    }
}

/// Brings the soft limit of open files to the hard one.
///
/// # Errors
/// The system refuses.
pub fn raise_open_files() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")
}

/// Serves until standard input ends; says the address on standard output.
///
/// # Errors
/// The server cannot begin.
pub fn serve(server: Server) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let folder = crate::children::folder()?;
    let address = match server {
        Server::Gateway => {
            let log = embedded(folder.path())?;
            runtime.block_on(gateway(folder.path(), log, None))?
        }
        Server::KafkaGateway => runtime.block_on(async {
            let log = KafkaLog::open(crate::services::served_log()?).await?;
            let spool = spool(folder.path(), Arc::new(log)).await?;
            gateway(folder.path(), Arc::new(spool.clone()), Some(spool)).await
        })?,
        Server::Stub => runtime.block_on(crate::services::stub())?,
        Server::Echo => runtime.block_on(echo())?,
    };
    say(address);
    // Whoever started this ends it by going away.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[allow(clippy::print_stdout)] // read by whoever started this
fn say(address: SocketAddr) {
    println!("{address}");
}

fn embedded(folder: &std::path::Path) -> Result<Arc<dyn Append>> {
    let options = waywarden_bus::Options {
        // Little is kept in memory, so that memory measured is that of connections.
        tail_bytes: 64 * 1024,
        ..Default::default()
    };
    Ok(Arc::new(EmbeddedLog::open(&folder.join("log"), options)?))
}

async fn spool(folder: &std::path::Path, log: Arc<dyn Append>) -> Result<Spool> {
    let options = SpoolOptions {
        folder: folder.join("spool"),
        patience: Duration::from_secs(5),
        retry: Duration::from_secs(1),
        max_bytes: 1 << 30,
    };
    let local = waywarden_bus::Options {
        partitions: log.partitions(),
        ..Default::default()
    };
    let local = EmbeddedLog::open(&options.folder, local)?;
    let connect: Connect = Arc::new(move || {
        let log = Arc::clone(&log);
        Box::pin(async move { Ok(log) })
    });
    Ok(Spool::open(local, connect, options).await?)
}

async fn gateway(
    folder: &std::path::Path,
    log: Arc<dyn Append>,
    spool: Option<Spool>,
) -> Result<SocketAddr> {
    let registry = Arc::new(Registry::new(0, Registers::default()));
    // What the devices send is of one day in spring, and is to come as fast as it can.
    let limits = Limits {
        late_records: 0,
        ..Limits::default()
    };
    let config = GatewayConfig {
        limits,
        data: folder.to_owned(),
        disk_reserve: 1 << 20,
        listeners: vec![Listener {
            address: ([127, 0, 0, 1], 0).into(),
            speaks: Speaks::One(Protocol::Teltonika),
            transport: Transport::Tcp,
        }],
        ..GatewayConfig::default()
    };
    let with = Surroundings {
        log,
        spool,
        directory: Arc::new(RegistryDirectory::new(registry, UnknownPolicy::Accept, 0)),
        sessions: wire_sessions(),
        clock: Arc::new(now),
        free_space: free_space_of(folder),
        metrics: &prometheus::Registry::new(),
        shutdown: CancellationToken::new(),
    };
    let handle = serve_gateway(config, with).await?;
    let listener = handle.listeners().first().context("one listener")?;
    Ok(listener.address)
}

pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(0))
}

async fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // As the gateway does: what is small goes out at once.
                stream.set_nodelay(true)?;
                let mut buffer = [0; 2048];
                loop {
                    let n = stream.read(&mut buffer).await?;
                    if n == 0 {
                        return Ok::<(), std::io::Error>(());
                    }
                    stream.write_all(&buffer[..n]).await?;
                }
            });
        }
    });
    Ok(address)
}
