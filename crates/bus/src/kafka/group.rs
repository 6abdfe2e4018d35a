//! Membership in the workers' group, which only says who works which partition.
//!
//! Cooperative rebalancing by the classic protocol: what stays with its worker is not interrupted.
//! The member's own consumer fetches nothing, and its thread does nothing but poll, so that no poll
//! is ever missed however long a batch takes. A partition that is revoked is given up after its work has
//! been put down, or after [`KafkaOptions::hand_over`]; what is still written then fails at the
//! epoch of its successor.

use super::{KafkaOptions, number, said};
use crate::share::Desk;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long one look for news of the group waits.
const LOOK: Duration = Duration::from_millis(100);

pub(super) type Member = BaseConsumer<Rebalances>;

/// Passes on what the group decides.
pub(super) struct Rebalances {
    desk: Arc<Desk>,
    hand_over: Duration,
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        said::tell(&error, reason);
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<u32> {
    let number = |e: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        u32::try_from(e.partition()).unwrap_or(u32::MAX)
    };
    list.elements().into_iter().map(number).collect()
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, member: &Member, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                let taken = numbers(list);
                self.desk.revoke(&taken);
                let lost = member.assignment_lost();
                tracing::info!(partitions = ?taken, lost, "partitions are taken from this worker");
                // The group has given a lost one to somebody else already.
                if !lost && !self.desk.wait_put_down(&taken, self.hand_over) {
                    tracing::warn!(partitions = ?taken, "partitions were given up while worked");
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "the workers' group failed"),
            Rebalance::Assign(_) => {}
        }
    }

    fn post_rebalance(&self, member: &Member, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else {
            return;
        };
        // Read is elsewhere, from the positions that the store gives.
        if let Err(error) = member.pause(list) {
            tracing::warn!(%error, "the group's consumer could not be held back");
        }
        let given = numbers(list);
        if !given.is_empty() {
            tracing::info!(partitions = ?given, "partitions fall to this worker");
        }
        self.desk.assign(given);
    }
}

/// The consumer of the group: it commits what is released, and as a member it is given partitions.
pub(super) struct Group {
    topic: String,
    pub consumer: Arc<Member>,
    pub desk: Arc<Desk>,
}

impl Group {
    pub fn new(options: &KafkaOptions) -> Result<Self, KafkaError> {
        let desk = Arc::new(Desk::default());
        let mut config: ClientConfig = options.client();
        let session = options.session.as_millis();
        config
            .set("group.id", &options.group)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 6).max(1).to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "64");
        let context = Rebalances {
            desk: Arc::clone(&desk),
            hand_over: options.hand_over,
        };
        Ok(Self {
            topic: options.topic.clone(),
            consumer: Arc::new(config.create_with_context(context)?),
            desk,
        })
    }

    /// Joins; the membership ends when what is given is dropped.
    pub fn join(&self) -> Result<Membership, KafkaError> {
        self.consumer.subscribe(&[&self.topic])?;
        let left = Arc::new(AtomicBool::new(false));
        let (consumer, leave) = (Arc::downgrade(&self.consumer), Arc::clone(&left));
        let polling = std::thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || poll(&consumer, &leave))
            .map_err(|e| KafkaError::Subscription(e.to_string()))?;
        Ok(Membership {
            consumer: Arc::clone(&self.consumer),
            left,
            polling: Some(polling),
        })
    }
}

fn poll(consumer: &Weak<Member>, left: &AtomicBool) {
    while !left.load(Ordering::Acquire) {
        let Some(consumer) = consumer.upgrade() else {
            return;
        };
        // Everything is paused: nothing comes but the group's decisions, and brokers that are away.
        if let Some(Err(error)) = consumer.poll(LOOK) {
            tracing::debug!(%error, "polling the workers' group");
        }
    }
}

/// Leaves the group when dropped, so that others need not wait for the session to end.
pub(super) struct Membership {
    consumer: Arc<Member>,
    left: Arc<AtomicBool>,
    polling: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership").finish_non_exhaustive()
    }
}

impl crate::share::Membership for Membership {}

impl Drop for Membership {
    fn drop(&mut self) {
        self.left.store(true, Ordering::Release);
        if let Some(polling) = self.polling.take()
            && polling.join().is_err()
        {
            tracing::warn!("the thread of the workers' group had ended badly");
        }
        self.consumer.unsubscribe();
        // The revocation is handed to whoever polls.
        let until = std::time::Instant::now() + LOOK * 20;
        while std::time::Instant::now() < until {
            let none = self.consumer.assignment().is_ok_and(|a| a.count() == 0);
            if none {
                break;
            }
            self.consumer.poll(LOOK);
        }
    }
}

/// Whether a commit was refused only because the group changes, or this member is not of it (any
/// more).
pub(super) fn divides(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::RebalanceInProgress
                | Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::WaitingForCoordinator
                | Code::AssignmentLost
        )
    )
}

/// A list of one partition of the topic.
pub(super) fn one(
    topic: &str,
    partition: u32,
    offset: rdkafka::Offset,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, number(partition), offset)?;
    Ok(list)
}
