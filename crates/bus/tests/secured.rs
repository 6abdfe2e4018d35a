//! The log on a Kafka that asks who one is: let in, it is a log like any other; kept out, it says why.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod broker;
mod contract;

use broker::{address, fresh};
use contract::Factory;
use std::sync::Arc;
use std::time::Duration;
use waywarden_bus::{ClientSettings, KafkaLog, KafkaOptions, Log, TopicError};

/// The user of `deploy/services.sh`.
const LOGIN: &str = "sasl.username=waywarden\nsasl.password=only-for-tests\n";
const PLAIN: &str = "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\n";

/// At a listener that asks, with the settings of a file.
fn at(listener: &str, file: &str) -> KafkaOptions {
    KafkaOptions {
        brokers: address(listener),
        more: ClientSettings::read(file).unwrap(),
        patience: Duration::from_secs(3),
        ..fresh("secured")
    }
}

struct Secured(fn() -> KafkaOptions);

impl Factory for Secured {
    type Place = KafkaOptions;

    async fn make(&self) -> KafkaOptions {
        (self.0)()
    }

    async fn open(&self, place: &KafkaOptions) -> Arc<dyn Log> {
        Arc::new(KafkaLog::open(place.clone()).await.unwrap())
    }
}

/// Why it is not opened, within a bound.
async fn refused(options: KafkaOptions) -> TopicError {
    let soon = Duration::from_secs(60);
    let opened = tokio::time::timeout(soon, KafkaLog::open(options)).await;
    opened.expect("within the bound").unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_password_the_log_holds_the_contract() {
    let options = || {
        let file = format!("{PLAIN}{LOGIN}");
        KafkaOptions {
            patience: KafkaOptions::default().patience,
            ..at("WAYWARDEN_TEST_KAFKA_SASL", &file)
        }
    };
    contract::run(&Secured(options)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_and_is_final() {
    let file = format!("{PLAIN}sasl.username=waywarden\nsasl.password=guessed\n");
    let error = refused(at("WAYWARDEN_TEST_KAFKA_SASL", &file)).await;
    assert!(matches!(error, TopicError::Refused(_)), "{error:?}");
    assert!(!error.may_pass());
    let said = error.to_string();
    assert!(said.contains("Invalid username or password"), "{said}");
    assert!(!said.contains("guessed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_say_who_he_is_is_told_that_nobody_listens_to_him() {
    let error = refused(at("WAYWARDEN_TEST_KAFKA_SASL", "")).await;
    let TopicError::Unreached(said) = &error else {
        panic!("{error:?}");
    };
    assert!(said.contains("Disconnected"), "{said}");
    // The listener may be another one tomorrow.
    assert!(error.may_pass());
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;

    fn encrypted(mechanism: &str, authority: &str) -> String {
        let services = address("WAYWARDEN_TEST_SERVICES");
        format!(
            "security.protocol=sasl_ssl\nsasl.mechanism={mechanism}\n{LOGIN}\
             ssl.ca.location={services}/run/tls/{authority}\n"
        )
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn over_tls_the_log_holds_the_contract() {
        let options = || {
            let file = encrypted("SCRAM-SHA-256", "ca.pem");
            KafkaOptions {
                patience: KafkaOptions::default().patience,
                ..at("WAYWARDEN_TEST_KAFKA_TLS", &file)
            }
        };
        contract::run(&Secured(options)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_of_another_authority_or_name_is_refused() {
        let listener = "WAYWARDEN_TEST_KAFKA_TLS";
        let error = refused(at(listener, &encrypted("PLAIN", "other-ca.pem"))).await;
        assert!(matches!(error, TopicError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        let options = at(listener, &encrypted("PLAIN", "ca.pem"));
        let renamed = KafkaOptions {
            brokers: options.brokers.replace("127.0.0.1", "localhost"),
            ..options
        };
        let error = refused(renamed).await;
        assert!(matches!(error, TopicError::Refused(_)), "{error:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_wrong_password_is_said_over_tls_too() {
        let file = encrypted("SCRAM-SHA-256", "ca.pem").replace("only-for-tests", "guessed");
        let error = refused(at("WAYWARDEN_TEST_KAFKA_TLS", &file)).await;
        assert!(matches!(error, TopicError::Refused(_)), "{error:?}");
    }
}
