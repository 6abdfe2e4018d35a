//! The topic: made where it is missing, and held to settings under which nothing is forgotten.

use super::{KafkaOptions, MESSAGE_BYTES, number};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Between two looks for a topic that was made just now.
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(50);

/// Why the topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("Kafka: topic {topic}: {code}")]
    Topic {
        topic: String,
        code: RDKafkaErrorCode,
    },
    #[error("Kafka: there is no topic {0}, and it may not be made: make it, or allow it")]
    Missing(String),
    /// A password that is not taken, a certificate that is not: on either side.
    #[error("Kafka refuses this program, or is refused: {0}")]
    Refused(String),
    #[error("Kafka is not reached: {0}")]
    Unreached(String),
    #[error("Kafka: no broker answers")]
    NoCluster,
    #[error("Kafka: no broker tells the settings of the topic {0}")]
    NotTold(String),
    /// Fixed when it is made: sources would move between partitions.
    #[error(
        "the topic {topic} has {found} partitions, {wanted} are configured: the number is never \
         changed; drain it and begin a new topic, or configure {found}"
    )]
    Partitions {
        topic: String,
        found: usize,
        wanted: u32,
    },
    #[error(
        "the topic {topic} keeps {found} copies, {wanted} are configured: kafka-reassign-partitions"
    )]
    Replication {
        topic: String,
        found: usize,
        wanted: u32,
    },
    #[error(
        "the topic {topic} has {name}={found}, it must be {wanted}: kafka-configs --alter \
         --entity-type topics --entity-name {topic} --add-config {name}={wanted}"
    )]
    Setting {
        topic: String,
        name: &'static str,
        found: String,
        wanted: String,
    },
    #[error(transparent)]
    Bus(#[from] crate::BusError),
}

impl TopicError {
    /// Whether it may be over by itself: brokers that are away, or not ready yet.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Kafka(_)
            | Self::Topic { .. }
            | Self::Missing(_)
            | Self::Unreached(_)
            | Self::NoCluster
            | Self::NotTold(_)
            | Self::Bus(_) => true,
            Self::Refused(_)
            | Self::Partitions { .. }
            | Self::Replication { .. }
            | Self::Setting { .. } => false,
        }
    }
}

/// Settings of which more than is asked for does no harm.
const AT_LEAST: [&str; 2] = ["min.insync.replicas", "max.message.bytes"];

/// Settings that the topic must have: nothing is removed but by us, nothing is confirmed that one
/// broker alone holds.
fn settings(options: &KafkaOptions) -> [(&'static str, String); 6] {
    [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("min.insync.replicas", options.min_in_sync.to_string()),
        // A copy that was not in sync never becomes the one that counts.
        ("unclean.leader.election.enable", "false".to_owned()),
        ("max.message.bytes", MESSAGE_BYTES.to_string()),
    ]
}

pub(super) async fn ensure(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<(), TopicError> {
    make(admin, options).await?;
    check_copies(admin, options).await?;
    check_settings(admin, options).await
}

async fn make(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<(), TopicError> {
    let settings = settings(options);
    let copies = TopicReplication::Fixed(number(options.replication));
    let mut topic = NewTopic::new(&options.topic, number(options.partitions), copies);
    for (name, value) in &settings {
        topic = topic.set(name, value);
    }
    let within = AdminOptions::new()
        .request_timeout(Some(options.patience))
        .operation_timeout(Some(options.patience));
    for made in admin.create_topics([&topic], &within).await? {
        match made {
            Ok(name) => {
                tracing::info!(topic = name, partitions = options.partitions, "topic made");
            }
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Who may not make it is told below if it is missing.
            Err((_, RDKafkaErrorCode::TopicAuthorizationFailed)) => {}
            Err((topic, code)) => return Err(TopicError::Topic { topic, code }),
        }
    }
    Ok(())
}

async fn check_copies(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<(), TopicError> {
    let topic = options.topic.clone();
    // A topic that was made just now is known to every broker a moment later.
    let until = tokio::time::Instant::now() + options.patience;
    let copies = loop {
        let copies = copies(admin, options)?;
        if !copies.is_empty() || tokio::time::Instant::now() > until {
            break copies;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    };
    if copies.is_empty() {
        return Err(TopicError::Missing(topic));
    }
    if copies.len() != options.partitions as usize {
        return Err(TopicError::Partitions {
            topic,
            found: copies.len(),
            wanted: options.partitions,
        });
    }
    match copies.into_iter().min() {
        Some(found) if found < options.replication as usize => Err(TopicError::Replication {
            topic,
            found,
            wanted: options.replication,
        }),
        _ => Ok(()),
    }
}

/// Copies of each partition.
fn copies(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<Vec<usize>, TopicError> {
    let inner = admin.inner();
    let metadata = inner.fetch_metadata(Some(&options.topic), options.patience)?;
    let found = metadata.topics().first();
    let partitions = found.map_or(&[][..], |t| t.partitions());
    Ok(partitions.iter().map(|p| p.replicas().len()).collect())
}

async fn check_settings(
    admin: &AdminClient<DefaultClientContext>,
    options: &KafkaOptions,
) -> Result<(), TopicError> {
    let topic = options.topic.clone();
    let asked = [ResourceSpecifier::Topic(&topic)];
    let within = AdminOptions::new().request_timeout(Some(options.patience));
    // A broker that has not heard of a new topic yet tells no settings of it.
    let until = tokio::time::Instant::now() + options.patience;
    let told = loop {
        let described = admin.describe_configs(&asked, &within).await?;
        let all: Result<Vec<ConfigResource>, _> = described.into_iter().collect();
        let known = |r: &ConfigResource| {
            let told = |(name, _): &(&str, String)| r.get(name).is_some_and(|e| e.value.is_some());
            settings(options).iter().all(told)
        };
        match all {
            Ok(told) if !told.is_empty() && told.iter().all(known) => break told,
            Ok(_) if tokio::time::Instant::now() > until => return Err(TopicError::NotTold(topic)),
            Err(code) if tokio::time::Instant::now() > until => {
                return Err(TopicError::Topic { topic, code });
            }
            _ => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    };
    for resource in told {
        for (name, wanted) in settings(options) {
            let entry = resource.get(name).and_then(|e| e.value.clone());
            let found = entry.unwrap_or_default();
            let number = |text: &str| text.parse::<u64>().ok();
            let more = AT_LEAST.contains(&name) && number(&found) >= number(&wanted);
            if found != wanted && !more {
                return Err(TopicError::Setting {
                    topic,
                    name,
                    found,
                    wanted,
                });
            }
        }
    }
    Ok(())
}
