//! No device is told that its data is safe before it is; and the order of what it is told.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;
use support::{Device, Gateway, Mode, NOW, until};
use tokio::net::UdpSocket;
use waywarden_bus::MOST_AS_ONE;
use waywarden_model::hash::partition_of;
use waywarden_wire::Transport;

#[tokio::test]
async fn a_frame_is_acknowledged_after_the_log_confirmed_it() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    device.send("D 7\n").await;
    until("the log has it", || g.log.held() == 1).await;
    device.hears_nothing().await;
    g.log.confirm(0);
    assert_eq!(device.line().await, "a 7");
    let (partition, frame) = g.log.frames().remove(0);
    assert_eq!(partition, partition_of(&"d1".into(), 4));
    assert_eq!(frame.source.as_str(), "d1");
    assert_eq!(frame.received.millis(), NOW);
    assert_eq!(frame.raw, b"D 7\n");
    assert!(!frame.held);
}

#[tokio::test]
async fn many_frames_of_one_connection_are_in_flight() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    for n in 0..100 {
        device.send(&format!("D {n}\n")).await;
        until("the log has it", || g.log.held() == n + 1).await;
    }
    device.hears_nothing().await;
    // Confirmed in any order, acknowledged in theirs.
    for _ in 0..99 {
        g.log.confirm(1);
    }
    device.hears_nothing().await;
    g.log.confirm(0);
    let expected: Vec<String> = (0..100).map(|n| format!("a {n}")).collect();
    assert_eq!(device.lines(100).await, expected);
}

/// What is read at once is appended as one, up to a bound, and has its acknowledgements in order;
/// what it gives otherwise stands where it came.
#[tokio::test]
async fn frames_of_one_read_are_appended_as_one() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    let all: String = (0..MOST_AS_ONE + 3).map(|n| format!("D {n}\n")).collect();
    device.send(&(all + "H\nD 90\nN 91\nT 92\nT 93\n")).await;
    until("the log has all", || g.log.held() == 4).await;
    assert_eq!(g.log.held_frames(), [MOST_AS_ONE, 3, 2, 2]);
    for behind in [3, 2, 1] {
        g.log.confirm(behind);
    }
    device.hears_nothing().await;
    assert_eq!(g.metric("durable_frames_total", "gt06"), 0.0);
    // One write that failed is repeated whole.
    g.log.fail(0);
    until("again", || g.log.held_frames() == [MOST_AS_ONE]).await;
    g.log.confirm(0);
    let acknowledged = |numbers: std::ops::Range<usize>| numbers.map(|n| format!("a {n}"));
    let mut expected: Vec<String> = acknowledged(0..MOST_AS_ONE + 3).collect();
    expected.push("h".into());
    expected.push("a 90".into());
    expected.extend(acknowledged(92..94));
    assert_eq!(device.lines(expected.len()).await, expected);
    let frames = g.metric("durable_frames_total", "gt06");
    assert_eq!(frames, (MOST_AS_ONE + 7) as f64);
    until("the budget is given back", || {
        g.metric("in_flight_bytes", "") == 0.0
    })
    .await;
}

#[tokio::test]
async fn immediate_replies_overtake_only_what_carries_a_tag() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    device.send("T 1\nH\n").await;
    assert_eq!(device.line().await, "h");
    device.send("D 2\nH\nT 3\nH\n").await;
    until("the log has all", || g.log.held() == 3).await;
    device.hears_nothing().await;
    g.log.confirm(2);
    g.log.confirm(0);
    assert_eq!(device.line().await, "a 1");
    device.hears_nothing().await;
    g.log.confirm(0);
    assert_eq!(device.lines(4).await, ["a 2", "h", "a 3", "h"]);
    // Nothing in flight any more: at once again.
    device.send("H\n").await;
    assert_eq!(device.line().await, "h");
}

#[tokio::test]
async fn a_frame_without_an_acknowledgement_holds_no_reply_back() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    device.send("N 1\nH\n").await;
    assert_eq!(device.line().await, "h");
    until("it is published", || g.log.held() == 1).await;
}

#[tokio::test]
async fn a_frame_without_a_time_is_answered_and_not_published() {
    let g = Gateway::start().await;
    let mut device = g.device("d1").await;
    device.send("U 5\n").await;
    assert_eq!(device.line().await, "a 5");
    assert_eq!(g.log.attempts(), 0);
    assert_eq!(g.metric("untimed_frames_total", "gt06"), 1.0);
    // Durable replies keep their order, also this one.
    g.log.set(Mode::Hold);
    device.send("T 6\nU 7\n").await;
    until("the log has it", || g.log.held() == 1).await;
    device.hears_nothing().await;
    g.log.confirm(0);
    assert_eq!(device.lines(2).await, ["a 6", "a 7"]);
}

#[tokio::test]
async fn a_failed_write_is_tried_again_and_not_acknowledged_before() {
    let g = Gateway::start().await;
    g.log.set(Mode::Fail);
    let mut device = g.device("d1").await;
    device.send("D 1\nD 2\nD 3\n").await;
    until("several attempts", || g.log.attempts() > 9).await;
    // Not read while the log fails: what comes now waits in the socket.
    device.send("D 4\n").await;
    device.hears_nothing().await;
    assert_eq!(g.ill(), ["log_failing"]);
    assert_eq!(g.metric("frames_total", "gt06"), 3.0);
    g.log.set(Mode::Confirm);
    assert_eq!(device.lines(4).await, ["a 1", "a 2", "a 3", "a 4"]);
    assert_eq!(g.log.numbers(), [1, 2, 3, 4]);
    assert!(g.ill().is_empty());
    assert!(g.metric("append_failures_total", "") >= 3.0);
}

#[tokio::test]
async fn only_the_write_that_failed_is_repeated() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    for n in 1..4 {
        device.send(&format!("D {n}\n")).await;
        until("the log has it", || g.log.held() == n).await;
    }
    g.log.confirm(1);
    g.log.fail(1);
    g.log.fail(0);
    until("two again", || g.log.held() == 2).await;
    device.hears_nothing().await;
    g.log.confirm_all();
    assert_eq!(device.lines(3).await, ["a 1", "a 2", "a 3"]);
    assert_eq!(g.log.numbers(), [2, 1, 3]);
}

#[tokio::test]
async fn what_was_taken_becomes_durable_though_the_device_is_gone() {
    for mode in [Mode::Hold, Mode::Fail, Mode::Full] {
        let g = Gateway::start().await;
        g.log.set(mode);
        let mut device = g.device("d1").await;
        device.send("D 1\nD 2\n").await;
        until("both were read", || g.metric("frames_total", "gt06") == 2.0).await;
        // Closed with a reset, so that the gateway sees it although it does not read.
        socket2::SockRef::from(&device.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(device);
        tokio::time::sleep(Duration::from_millis(50)).await;
        g.log.set(Mode::Confirm);
        g.log.confirm_all();
        until("both are durable", || g.log.frames().len() == 2).await;
        until("the connection is forgotten", || {
            g.handle.connections() == 0
        })
        .await;
        assert_eq!(g.log.numbers(), [1, 2], "{mode:?}");
    }
}

#[tokio::test]
async fn a_device_that_comes_again_closes_its_half_open_connection() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut old = g.device("d1").await;
    let mut other = g.device("d2").await;
    old.send("D 1\n").await;
    until("the log has it", || g.log.held() == 1).await;
    let mut new = g.device("d1").await;
    old.is_closed().await;
    new.send("D 2\n").await;
    until("the log has both", || g.log.held() == 2).await;
    g.log.confirm_all();
    assert_eq!(new.line().await, "a 2");
    assert_eq!(g.log.numbers(), [1, 2], "what the old one took is durable");
    assert_eq!(g.metric("closed_connections_total", "replaced"), 1.0);
    // The end of the old one leaves the new one known: a third closes the second.
    let _third = g.device("d1").await;
    new.is_closed().await;
    other.hears_nothing().await;
}

#[tokio::test]
async fn a_device_that_only_stops_sending_still_gets_its_acknowledgements() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    device.send("D 1\n").await;
    until("the log has it", || g.log.held() == 1).await;
    tokio::io::AsyncWriteExt::shutdown(&mut device.stream)
        .await
        .unwrap();
    device.hears_nothing().await;
    g.log.confirm(0);
    assert_eq!(device.line().await, "a 1");
    device.is_closed().await;
}

#[tokio::test]
async fn datagrams_are_answered_when_they_are_durable() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    device.connect(g.address(Transport::Udp)).await.unwrap();
    device.send(b"L d1\nD 4\n").await.unwrap();
    let mut buffer = [0; 64];
    let n = device.recv(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"ok\n");
    until("the log has it", || g.log.held() == 1).await;
    let early = tokio::time::timeout(Duration::from_millis(100), device.recv(&mut buffer)).await;
    assert!(early.is_err());
    g.log.confirm(0);
    let n = device.recv(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"a 4\n");
    // A failing log is tried again for datagrams too, and a cut one is counted.
    g.log.set(Mode::Fail);
    device.send(b"L d1\nD 5\nD ").await.unwrap();
    device.recv(&mut buffer).await.unwrap();
    until("an attempt", || g.log.attempts() > 2).await;
    g.log.set(Mode::Confirm);
    let n = device.recv(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"a 5\n");
    assert_eq!(g.metric("unknown_frames_total", "cut_datagram"), 1.0);
}

#[tokio::test]
async fn a_log_that_was_closed_ends_connections_without_an_acknowledgement() {
    let g = Gateway::start().await;
    let mut device = g.device("d1").await;
    g.log.set(Mode::Closed);
    device.send("D 1\n").await;
    device.is_closed().await;
    assert_eq!(g.metric("closed_connections_total", "log_closed"), 1.0);
    assert_eq!(g.ill(), ["log_failing"]);
}

#[tokio::test]
async fn shutting_down_finishes_what_is_in_flight() {
    let g = Gateway::start().await;
    g.log.set(Mode::Hold);
    let mut device = g.device("d1").await;
    device.send("D 1\n").await;
    until("the log has it", || g.log.held() == 1).await;
    g.shutdown.cancel();
    device.send("D 2\n").await;
    device.hears_nothing().await;
    assert_eq!(g.ill(), ["stopping"]);
    g.log.confirm(0);
    assert_eq!(device.line().await, "a 1");
    device.is_closed().await;
    g.handle.stopped().await;
    assert_eq!(g.log.numbers(), [1], "nothing is read after the stop");
    let refused = tokio::net::TcpStream::connect(g.address(Transport::Tcp)).await;
    assert!(refused.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn shutting_down_gives_up_at_its_deadline() {
    let g = Gateway::with(|c| c.times.shutdown = Duration::from_millis(200)).await;
    g.log.set(Mode::Hold);
    let mut device: Device = g.device("d1").await;
    let mut idle = g.device("d2").await;
    device.send("D 1\n").await;
    until("the log has it", || g.log.held() == 1).await;
    g.shutdown.cancel();
    idle.is_closed().await;
    device.is_closed().await;
    tokio::time::timeout(Duration::from_secs(5), g.handle.stopped())
        .await
        .expect("ends within its deadline");
    assert_eq!(g.metric("closed_connections_total", "aborted"), 1.0);
}
