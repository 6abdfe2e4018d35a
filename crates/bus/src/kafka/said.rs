//! What brokers say to a client that they do not take.
//!
//! The library only tells whoever calls it that time ran out; the reason goes to those who listen to
//! its events.

use super::KafkaOptions;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is listened for a reason, at most.
const LISTEN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// The reason why there is no connection.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The broker does not take this client, or this client not the broker: nothing but another
    /// configuration helps.
    pub refused: bool,
    pub why: String,
}

/// Keeps the last thing that was said; a refusal above everything else.
#[derive(Default)]
struct Ear(Mutex<Option<Said>>);

impl Ear {
    fn keep(&self, refused: bool, why: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused || !said.as_ref().is_some_and(|s| s.refused) {
            let why = why.to_owned();
            *said = Some(Said { refused, why });
        }
    }

    fn said(&self) -> Option<Said> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Ear {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == "FAIL" {
            self.keep(false, text);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            return; // which follows the reason, and tells none
        }
        self.keep(is_refusal(&error), reason);
    }
}

impl ConsumerContext for Ear {}

fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::Authentication
                | Code::SSL
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
        )
    )
}

/// Listens to a client of its own until a refusal is heard, a broker answers, or nothing more is to
/// be expected; gives the reason for what did not work.
pub(super) fn listen(options: &KafkaOptions) -> Option<Said> {
    let mut config = options.client();
    config
        .set("group.id", format!("{}-reads", options.group))
        // Whoever expects a password closes the connection without a word.
        .set("log.connection.close", "true")
        .set_log_level(RDKafkaLogLevel::Info);
    let consumer: BaseConsumer<Ear> = config.create_with_context(Ear::default()).ok()?;
    let until = Instant::now() + options.patience.min(LISTEN);
    loop {
        let answered = consumer.fetch_metadata(None, LOOK).is_ok();
        // What is heard comes by polling.
        consumer.poll(LOOK);
        let said = consumer.context().said();
        let refused = said.as_ref().is_some_and(|s| s.refused);
        if answered || refused || Instant::now() > until {
            return said.filter(|_| !answered);
        }
    }
}

/// A refusal that comes while the log is open: a password that was changed, a certificate that has
/// ended.
pub(super) fn tell(error: &KafkaError, reason: &str) {
    if is_refusal(error) {
        tracing::warn!(reason, "Kafka and this program refuse each other");
    } else {
        tracing::debug!(%error, reason, "Kafka");
    }
}
