//! The least that a gateway of Teltonika devices can do with Kafka behind it: it cuts frames by
//! their length, hands each to the library as it came, and answers when the brokers have it. It
//! decodes nothing, checks no sum, and bounds nothing but the library's queue.

use super::served_log;
use anyhow::{Context as _, Result};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext, ThreadedProducer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use waywarden_model::SourceId;
use waywarden_model::hash::partition_of;

struct Told;

impl ClientContext for Told {}

impl ProducerContext<NoCustomPartitioner> for Told {
    type DeliveryOpaque = Box<oneshot::Sender<bool>>;

    fn delivery(&self, result: &DeliveryResult<'_>, who: Self::DeliveryOpaque) {
        // Who waited may be gone.
        let _ = who.send(result.is_ok());
    }
}

type Producer = ThreadedProducer<Told>;

struct Stub {
    producer: Producer,
    topic: String,
    partitions: u32,
}

/// Serves on a port of its own for as long as the process lives.
///
/// # Errors
/// It was told no log, or cannot listen.
pub async fn stub() -> Result<SocketAddr> {
    let log = served_log()?;
    let producer = ClientConfig::new()
        .set("bootstrap.servers", &log.brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", &log.compression)
        .set("linger.ms", log.linger.as_millis().to_string())
        .create_with_context(Told)?;
    let stub = Arc::new(Stub {
        producer,
        topic: log.topic,
        partitions: log.partitions,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stub = Arc::clone(&stub);
            // A device that goes away is nothing to tell.
            tokio::spawn(async move { stub.serve(stream).await });
        }
    });
    Ok(address)
}

impl Stub {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let id = usize::from(stream.read_u16().await?);
        let mut name = vec![0; id];
        stream.read_exact(&mut name).await?;
        stream.write_all(&[1]).await?;
        let source = SourceId::new(String::from_utf8(name)?);
        let partition = i32::try_from(partition_of(&source, self.partitions))?;
        let (mut buffer, mut filled) = (vec![0; 64 * 1024], 0);
        loop {
            let n = stream.read(&mut buffer[filled..]).await?;
            if n == 0 {
                return Ok(());
            }
            filled += n;
            let (mut begin, mut receipts) = (0, Vec::new());
            while let Some(frame) = frame(&buffer[begin..filled]) {
                // Codec, then the number of records.
                receipts.push((self.publish(partition, frame).await?, frame[9]));
                begin += frame.len();
            }
            buffer.copy_within(begin..filled, 0);
            filled -= begin;
            let mut answer = Vec::with_capacity(4 * receipts.len());
            for (receipt, count) in receipts {
                anyhow::ensure!(receipt.await?, "a message was not delivered");
                answer.extend(u32::from(count).to_be_bytes());
            }
            stream.write_all(&answer).await?;
        }
    }

    async fn publish(&self, partition: i32, frame: &[u8]) -> Result<oneshot::Receiver<bool>> {
        let (told, receipt) = oneshot::channel();
        let mut told = Box::new(told);
        loop {
            let record: BaseRecord<'_, (), [u8], _> = BaseRecord::with_opaque_to(&self.topic, told)
                .partition(partition)
                .payload(frame);
            match self.producer.send(record) {
                Ok(()) => return Ok(receipt),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    told = back.delivery_opaque;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err((error, _)) => return Err(error).context("handing a message over"),
            }
        }
    }
}

/// The frame that the bytes begin with: four zeros, its length, that many bytes, and its sum.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
    bytes.get(..12 + usize::try_from(length).ok()?)
}
