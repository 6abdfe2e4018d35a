//! Datagrams: each is a session of its own, answered when its records are durable.

use crate::config::Speaks;
use crate::intake::{self, Given, Intake, Publish, Turned};
use crate::shared::Shared;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use waywarden_bus::BusError;
use waywarden_model::{Protocol, Standing, Timestamp};
use waywarden_wire::{DecodedFrame, Event, Progress, Transport};

/// Largest datagram that there is.
const DATAGRAM: usize = 64 * 1024;
/// Frames of datagrams in flight; above it the socket is not read.
const IN_FLIGHT: usize = 4096;
/// Bytes reserved from the common budget for one datagram.
const RESERVE: u32 = 64 * 1024;

/// A reply that may go out now.
type Answer = (SocketAddr, Option<Vec<u8>>);

/// Reads one socket until the gateway stops, then waits for what is in flight.
pub(crate) async fn serve(shared: Arc<Shared>, speaks: Speaks, socket: UdpSocket) {
    let mut buffer = vec![0; DATAGRAM];
    let mut in_flight: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
    loop {
        let may_read = in_flight.len() < IN_FLIGHT && !shared.disk.paused();
        tokio::select! {
            () = shared.shutdown.cancelled() => break,
            Some(answer) = in_flight.next(), if !in_flight.is_empty() => {
                send(&shared, &socket, answer).await;
            }
            budget = read(&shared, &socket), if may_read => {
                let Some(budget) = budget else { break };
                match socket.try_recv_from(&mut buffer) {
                    Ok((n, from)) => {
                        let mut datagram = Datagram { shared: &shared, speaks, from, budget };
                        for answer in datagram.take(&buffer[..n], &mut in_flight) {
                            send(&shared, &socket, answer).await;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    // An error of an earlier answer (port unreachable) comes back here.
                    Err(_) => shared.metrics.refused.with_label_values(&["datagram"]).inc(),
                }
            }
            // Looks again at the disk: nothing else wakes this loop when it has room again.
            () = tokio::time::sleep(shared.config.times.disk_check), if !may_read => {}
        }
    }
    loop {
        tokio::select! {
            () = shared.give_up.cancelled() => return,
            answer = in_flight.next() => match answer {
                Some(answer) => send(&shared, &socket, answer).await,
                None => return,
            }
        }
    }
}

/// Waits for a datagram, and for a share of the budget to take it with.
async fn read(shared: &Shared, socket: &UdpSocket) -> Option<OwnedSemaphorePermit> {
    let budget = Arc::clone(&shared.budget);
    // An error shows when the datagram is taken.
    let _ = socket.readable().await;
    budget.acquire_many_owned(RESERVE).await.ok()
}

async fn send(shared: &Shared, socket: &UdpSocket, (to, reply): Answer) {
    if let Some(reply) = reply
        && socket.send_to(&reply, to).await.is_err()
    {
        // The device did not get it and sends again.
        shared
            .metrics
            .refused
            .with_label_values(&["datagram_reply"])
            .inc();
    }
}

struct Datagram<'a> {
    shared: &'a Arc<Shared>,
    speaks: Speaks,
    from: SocketAddr,
    budget: OwnedSemaphorePermit,
}

impl Datagram<'_> {
    /// Gives what to answer at once; the rest is in flight.
    fn take(
        &mut self,
        bytes: &[u8],
        in_flight: &mut FuturesUnordered<BoxFuture<'static, Answer>>,
    ) -> Vec<Answer> {
        let shared = self.shared;
        let received = shared.clock.stamp();
        let Some(mut session) = (shared.new_session)(self.speaks, Transport::Udp) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let progress = session.receive(bytes, &shared.env(received), &mut events);
        let protocol = session.protocol();
        shared.metrics.of(protocol).bytes.inc_by(bytes.len() as u64);
        let (Progress::NeedMore { consumed } | Progress::Close { consumed, .. }) = progress;
        if consumed < bytes.len() {
            // There is no more to come: what begins a frame in a datagram is cut off.
            shared.unknown(protocol, received, "cut_datagram", bytes.to_vec());
        }
        let mut now = Vec::new();
        for event in events {
            match self.act(protocol, received, event) {
                Act::Answer(reply) => now.push((self.from, Some(reply))),
                Act::Publish(publish) => in_flight.push(self.publish(publish)),
                Act::Nothing => {}
                Act::Stop => break,
            }
        }
        now
    }

    fn act(&self, protocol: Protocol, received: Timestamp, event: Event) -> Act {
        let shared = self.shared;
        match event {
            Event::Identified { device, .. } if device.standing == Standing::Refused => {
                return Act::Stop;
            }
            Event::Identified { .. } => {}
            Event::Reply(reply) => return Act::Answer(reply),
            Event::Frame(frame) => match take(shared, protocol, received, frame) {
                Intake::Publish(publish) => {
                    // Counted, so that connections wait for it; a socket of many devices cannot.
                    let _ = shared.pace.took(publish.late, Instant::now());
                    return Act::Publish(publish);
                }
                Intake::ReplyOnly(Some(reply)) => return Act::Answer(reply),
                Intake::ReplyOnly(None) => {}
                Intake::Turn(turned) => {
                    let reason = match turned {
                        Turned::Refused => "refused_datagram",
                        Turned::HeldFull => "held_full_datagram",
                    };
                    shared.metrics.refused.with_label_values(&[reason]).inc();
                    return Act::Stop;
                }
            },
            Event::Unknown { label, raw } => shared.unknown(protocol, received, label, raw),
            Event::Error(error) => shared.error(protocol, received, error),
        }
        Act::Nothing
    }

    fn publish(&mut self, publish: Publish) -> BoxFuture<'static, Answer> {
        let size = publish.size().min(self.budget.num_permits());
        let budget = self.budget.split(size);
        let (shared, from) = (Arc::clone(self.shared), self.from);
        Box::pin(async move {
            let taken = std::time::Instant::now();
            let durable = until_durable(&shared, &publish).await;
            drop(budget);
            if !durable {
                return (from, None);
            }
            shared.metrics.of(publish.protocol).durable.inc();
            shared
                .metrics
                .durable
                .observe(taken.elapsed().as_secs_f64());
            (from, publish.reply)
        })
    }
}

enum Act {
    Answer(Vec<u8>),
    Publish(Publish),
    Nothing,
    Stop,
}

/// Tries until the message is durable; false when the log is closed.
async fn until_durable(shared: &Shared, publish: &Publish) -> bool {
    let (mut wait, longest) = shared.config.times.retry;
    loop {
        let appended = match shared
            .log
            .append(publish.partition, publish.payload.clone())
            .await
        {
            Ok(receipt) => receipt.await.unwrap_or(Err(BusError::Closed)),
            Err(error) => Err(error),
        };
        match appended {
            Ok(_) => {
                shared.log_works();
                return true;
            }
            Err(error @ BusError::Write(_)) => shared.log_failed(&error),
            Err(_) => {
                shared.log_closed();
                return false;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(longest);
    }
}

/// A frame of a datagram, counted by itself.
fn take(shared: &Shared, protocol: Protocol, received: Timestamp, frame: DecodedFrame) -> Intake {
    let mut given = Given::default();
    let intake = intake::take(shared, protocol, received, frame, &mut given);
    given.tell(&shared.metrics, protocol);
    intake
}
