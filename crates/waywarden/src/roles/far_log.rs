//! The log that the configuration names, as each role needs it.

use crate::config::{Config, LogKind};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, ClientSettings, EmbeddedLog, KafkaLog, KafkaOptions, Log, TopicError};
use waywarden_gateway::{Connect, Spool, Unreachable};

/// Between two attempts to reach brokers that are away.
const AGAIN: Duration = Duration::from_secs(2);

/// Opens the log once.
pub async fn open(config: &Config, folder: &Path) -> Result<Arc<dyn Log>> {
    Ok(match config.log_kind {
        LogKind::Embedded => {
            let path = folder.join("log");
            Arc::new(EmbeddedLog::open(&path, config.log.clone())?)
        }
        LogKind::Kafka => Arc::new(KafkaLog::open(kafka(config)?).await?),
    })
}

/// How Kafka is reached, with the settings from their file.
fn kafka(config: &Config) -> Result<KafkaOptions> {
    let mut options = config.kafka.clone();
    if let Some(path) = &config.kafka_client_file {
        let place = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(place)?;
        options.more = ClientSettings::read(&text).with_context(place)?;
    }
    Ok(options)
}

/// Opens the log on Kafka, and waits for brokers that are away; None when told to stop before.
///
/// # Errors
/// A topic that may not be used, brokers that refuse this program.
pub async fn wait_for(config: &Config, stop: &CancellationToken) -> Result<Option<Arc<dyn Log>>> {
    let options = kafka(config)?;
    let mut told = false;
    loop {
        let opened = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            opened = KafkaLog::open(options.clone()) => opened,
        };
        let error = match opened {
            Ok(log) => return Ok(Some(Arc::new(log))),
            Err(error) if error.may_pass() => error,
            Err(error) => return Err(error.into()),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(%error, "Kafka is away; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// A spool in the data folder before the log on Kafka; `log` where it is open already.
///
/// # Errors
/// A spool that cannot be opened, a topic that may not be used, brokers that refuse this program.
pub async fn spooled(
    config: &Config,
    folder: &Path,
    log: Option<Arc<dyn Append>>,
) -> Result<Spool> {
    let mut options = config.spool.clone();
    options.folder = folder.join("spool");
    let local = waywarden_bus::Options {
        // Small segments: what is drained goes soon.
        segment_bytes: config.log.segment_bytes.min(64 << 20),
        ..config.log.clone()
    };
    let local = EmbeddedLog::open(&options.folder, local)?;
    Ok(Spool::open(local, connect(kafka(config)?, log), options).await?)
}

fn connect(options: KafkaOptions, log: Option<Arc<dyn Append>>) -> Connect {
    Arc::new(move || {
        let (options, log) = (options.clone(), log.clone());
        Box::pin(async move {
            if let Some(log) = log {
                return Ok(log);
            }
            match KafkaLog::open(options).await {
                Ok(log) => Ok(Arc::new(log) as Arc<dyn Append>),
                Err(error) => Err(unreachable(&error)),
            }
        })
    })
}

fn unreachable(error: &TopicError) -> Unreachable {
    Unreachable {
        what: error.to_string(),
        lasting: !error.may_pass(),
    }
}
