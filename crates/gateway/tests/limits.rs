//! Every bound: what is above it waits or is not let in, and nothing that was read is dropped.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use support::{Device, Gateway, Mode, NOW, until};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

/// Writes until the socket takes no more for a while; gives the number of whole frames.
async fn flood(device: &mut Device, most: usize) -> usize {
    for n in 0..most {
        let frame = format!("B {n:0>1000}\n");
        let write = device.stream.write_all(frame.as_bytes());
        if timeout(Duration::from_millis(300), write).await.is_err() {
            return n;
        }
    }
    most
}

#[tokio::test]
async fn a_full_log_slows_the_socket_down_and_drops_nothing() {
    for mode in [Mode::Full, Mode::Hold] {
        let g = Gateway::with(|c| c.limits.connection_bytes = 20_000).await;
        g.log.set(mode);
        let mut device = g.device("d1").await;
        // 100 MB would go through a gateway that reads on.
        let sent = flood(&mut device, 100_000).await;
        assert!(sent < 20_000, "{sent} frames were taken");
        let read = g.metric("frames_total", "gt06");
        assert!(
            read <= 40.0,
            "{read} frames are in memory with room for 20,000 bytes"
        );
        device.hears_nothing().await;
        g.log.set(Mode::Confirm);
        g.log.confirm_all();
        // The line that was cut is finished by its end.
        device.send("\n").await;
        for n in 0..sent {
            assert_eq!(device.line().await, format!("a {n}"));
        }
        let numbers = g.log.numbers();
        assert_eq!(numbers[..sent], (0..sent as i64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn all_connections_together_have_a_bound() {
    let g = Gateway::with(|c| c.limits.total_bytes = 128 * 1024).await;
    g.log.set(Mode::Hold);
    let mut devices = Vec::new();
    for n in 0..8 {
        devices.push(g.device(&format!("d{n}")).await);
    }
    for device in &mut devices {
        let frames: String = (0..32).map(|n| format!("B {n}\n")).collect();
        device.send(&frames).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Each frame becomes 4 KiB in flight; 8 x 32 of them are a megabyte.
    let held: usize = g.log.held_frames().iter().sum();
    assert!((1..=64).contains(&held), "{held} frames in flight");
    g.log.set(Mode::Confirm);
    g.log.confirm_all();
    for device in &mut devices {
        assert_eq!(device.lines(32).await.last().unwrap(), "a 31");
    }
    assert_eq!(g.log.frames().len(), 8 * 32);
    until("the budget is given back", || {
        g.metric("in_flight_bytes", "") == 0.0
    })
    .await;
}

#[tokio::test]
async fn connections_are_bounded_in_number_and_by_address() {
    for (all, each, reason) in [(2, 9, "connections"), (9, 2, "address")] {
        let g = Gateway::with(|c| {
            c.limits.connections = all;
            c.limits.connections_per_address = each;
        })
        .await;
        let first = g.device("d1").await;
        let mut second = g.device("d2").await;
        g.connect().await.is_closed().await;
        assert_eq!(g.metric("refused_connections_total", reason), 1.0);
        drop(first);
        until("the place is free", || g.handle.connections() == 1).await;
        let _third = g.device("d3").await;
        second.send("H\n").await;
        assert_eq!(second.line().await, "h");
    }
}

#[tokio::test]
async fn who_does_not_log_in_is_closed() {
    let g = Gateway::with(|c| c.times.log_in = Duration::from_millis(150)).await;
    let mut known = g.device("d1").await;
    let mut silent = g.connect().await;
    let mut talker = g.connect().await;
    talker.send("D 1\n").await;
    silent.is_closed().await;
    talker.is_closed().await;
    known.hears_nothing().await;
    assert_eq!(g.metric("closed_connections_total", "log_in_time"), 2.0);
    assert_eq!(g.metric("frame_errors_total", "not_logged_in"), 1.0);
}

#[tokio::test]
async fn who_says_nothing_for_long_is_closed() {
    let g = Gateway::with(|c| c.times.idle = Duration::from_millis(400)).await;
    let mut idle = g.device("d1").await;
    let mut lively = g.device("d2").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        lively.send("H\n").await;
        assert_eq!(lively.line().await, "h");
    }
    idle.is_closed().await;
    lively.is_closed().await;
    assert_eq!(g.metric("closed_connections_total", "idle_time"), 2.0);
}

#[tokio::test]
async fn a_frame_that_never_ends_is_closed() {
    let g = Gateway::with(|c| c.times.frame = Duration::from_millis(300)).await;
    let mut device = g.device("d1").await;
    for byte in ["D", " ", "1", "2", "3", "4", "5", "6"] {
        // The bytes keep coming; it is the frame that takes too long.
        if device.stream.write_all(byte.as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    device.is_closed().await;
    assert_eq!(g.metric("closed_connections_total", "frame_time"), 1.0);
}

#[tokio::test]
async fn a_frame_that_is_too_large_is_closed() {
    let g = Gateway::with(|c| c.wire.max_frame = 2000).await;
    let mut device = g.device("d1").await;
    let _ = device.stream.write_all(&[b'D'; 60_000]).await;
    device.is_closed().await;
    assert_eq!(g.metric("frame_errors_total", "too_long"), 1.0);
    let odd = g.handle.odd_frames();
    assert_eq!(odd.len(), 1);
    assert_eq!((odd[0].reason, odd[0].raw.len()), ("too_long", 1024));
}

#[tokio::test]
async fn who_does_not_read_its_replies_is_closed() {
    let g = Gateway::with(|c| c.times.write = Duration::from_millis(300)).await;
    let mut device = g.device("d1").await;
    let heartbeats = "H\n".repeat(10_000);
    let talk = async {
        // Until the replies fill every buffer on the way, and the gateway gives up.
        while device.stream.write_all(heartbeats.as_bytes()).await.is_ok() {}
    };
    timeout(Duration::from_secs(30), talk)
        .await
        .expect("the gateway closes it");
    let closed = || g.metric("closed_connections_total", "write_time") == 1.0;
    until("counted", closed).await;
}

#[tokio::test]
async fn below_the_reserve_of_disk_nothing_is_read() {
    let g = Gateway::start().await;
    let mut device = g.device("d1").await;
    g.free.store(999, Ordering::SeqCst);
    until("paused", || g.ill() == ["disk_reserve"]).await;
    device.send("D 1\n").await;
    device.hears_nothing().await;
    let mut late = g.connect().await;
    late.send("L d2\n").await;
    late.hears_nothing().await;
    assert_eq!(g.metric("paused_state", ""), 1.0);
    assert_eq!(g.metric("frames_total", "gt06"), 0.0);
    // A little room is not enough: it would be gone with the first frames.
    g.free.store(1050, Ordering::SeqCst);
    device.hears_nothing().await;
    g.free.store(1100, Ordering::SeqCst);
    assert_eq!(device.line().await, "a 1");
    assert_eq!(late.line().await, "ok");
    assert!(g.ill().is_empty());
    assert_eq!(g.log.numbers(), [1]);
}

#[tokio::test]
async fn a_pause_of_ours_is_no_idleness_of_the_device() {
    let g = Gateway::with(|c| c.times.idle = Duration::from_millis(150)).await;
    let mut device = g.device("d1").await;
    g.free.store(0, Ordering::SeqCst);
    until("paused", || !g.ill().is_empty()).await;
    device.send("D 1\n").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    g.free.store(5000, Ordering::SeqCst);
    assert_eq!(device.line().await, "a 1");
}

#[tokio::test]
async fn refused_devices_are_closed_and_held_ones_are_bounded() {
    let g = Gateway::with(|c| c.limits.held_frames = 2).await;
    let mut refused = g.connect().await;
    refused.send("L refused\nD 1\n").await;
    refused.is_closed().await;
    let mut held = g.device("held").await;
    held.send("D 1\nD 2\nD 3\n").await;
    assert_eq!(held.lines(2).await, ["a 1", "a 2"]);
    held.is_closed().await;
    assert!(g.log.frames().iter().all(|(_, f)| f.held));
    assert_eq!(g.log.numbers(), [1, 2]);
    assert_eq!(g.metric("closed_connections_total", "held_full"), 1.0);
}

#[tokio::test]
async fn what_is_late_comes_at_its_rate_and_what_is_live_at_once() {
    // Half a second of records at once, then one every 200 ms.
    let g = Gateway::with(|c| c.limits.late_records = 5).await;
    let begun = Instant::now();
    let mut late = g.device("late").await;
    let (mut live, now) = (g.device("live").await, NOW / 1000);
    let mut waits = Vec::new();
    for n in 0..15 {
        // As a device does that waits for each answer: none is held back for it.
        late.send(&format!("D {n}\n")).await;
        let asked = Instant::now();
        live.send(&format!("D {now}\n")).await;
        assert_eq!(live.line().await, format!("a {now}"));
        waits.push(asked.elapsed());
        assert_eq!(late.line().await, format!("a {n}"));
    }
    // Most of them: a machine may be busy for a moment.
    waits.sort();
    assert!(waits[7] < Duration::from_millis(100), "{waits:?}");
    let took = begun.elapsed();
    // The last one waits for the 14 before it, less the burst.
    assert!(took >= Duration::from_millis(14 * 200 - 500), "{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(g.metric("late_records_total", ""), 15.0);
    assert!(g.metric("paced_reads_total", "") >= 3.0);
}

#[tokio::test]
async fn who_waits_with_late_records_is_not_late_itself_and_ends_when_all_do() {
    let g = Gateway::with(|c| {
        c.limits.late_records = 1;
        c.times.idle = Duration::from_millis(300);
        c.times.frame = Duration::from_millis(300);
    })
    .await;
    let mut device = g.device("late").await;
    // The second half of the next frame is not read for two seconds and a half.
    device.send("D 1\nD 2\nD 3\nD").await;
    assert_eq!(device.lines(3).await, ["a 1", "a 2", "a 3"]);
    tokio::time::sleep(Duration::from_millis(800)).await;
    device.send(" 4\n").await;
    assert_eq!(device.line().await, "a 4");
    g.shutdown.cancel();
    timeout(Duration::from_secs(2), device.is_closed())
        .await
        .unwrap();
    assert_eq!(g.log.numbers(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_is_wrong_is_counted_and_the_next_good_frame_is_taken() {
    let g = Gateway::with(|c| c.limits.odd_frames = 3).await;
    let mut device = g.device("d1").await;
    device.send("E\nX\nE\nX\nD 1\n").await;
    assert_eq!(device.line().await, "a 1");
    assert_eq!(g.metric("frame_errors_total", "bad_checksum"), 2.0);
    assert_eq!(g.metric("unknown_frames_total", "odd_kind"), 2.0);
    let reasons: Vec<_> = g.handle.odd_frames().iter().map(|o| o.reason).collect();
    assert_eq!(reasons, ["odd_kind", "bad_checksum", "odd_kind"]);
    device.send("D 2\nQ\nD 3\n").await;
    assert_eq!(device.line().await, "a 2");
    device.is_closed().await;
    assert_eq!(g.metric("closed_connections_total", "broken"), 1.0);
}

#[tokio::test]
async fn stamps_never_go_back_and_a_clock_that_does_is_told() {
    let g = Gateway::start().await;
    let mut device = g.device("d1").await;
    g.clock.store(NOW - 30_000, Ordering::SeqCst);
    device.send("D 1\n").await;
    device.line().await;
    assert!(g.ill().is_empty(), "within the tolerance");
    g.clock.store(NOW - 61_000, Ordering::SeqCst);
    assert_eq!(g.ill(), ["clock_behind"]);
    g.clock.store(NOW + 5, Ordering::SeqCst);
    device.send("D 2\n").await;
    device.line().await;
    let stamps: Vec<i64> = g
        .log
        .frames()
        .iter()
        .map(|(_, f)| f.received.millis())
        .collect();
    assert_eq!(stamps, [NOW, NOW + 5]);
}

#[tokio::test]
async fn ticks_say_since_when_it_listens_and_stop_while_it_does_not() {
    let g = Gateway::with(|c| c.times.tick = Duration::from_millis(50)).await;
    until("two in every partition", || g.log.ticks().len() >= 8).await;
    let ticks = g.log.ticks();
    for partition in 0..4 {
        assert!(ticks.iter().any(|(p, _)| *p == partition));
    }
    assert!(ticks.iter().all(|(_, t)| t.listening_since.millis() == NOW));
    g.free.store(0, Ordering::SeqCst);
    until("paused", || !g.ill().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = g.log.ticks().len();
    g.clock.store(NOW + 700, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(g.log.ticks().len(), before);
    g.free.store(5000, Ordering::SeqCst);
    until("ticks again", || g.log.ticks().len() > before).await;
    let (_, tick) = g.log.ticks().pop().unwrap();
    assert_eq!(tick.listening_since.millis(), NOW + 700);
}

#[tokio::test]
async fn metrics_name_protocols_and_reasons_and_never_a_device() {
    let g = Gateway::start().await;
    let mut device = g.device("352093081429150").await;
    device.send("D 1\nE\nX\n").await;
    device.line().await;
    for family in g.metrics.gather() {
        assert!(
            family.name().starts_with("waywarden_gateway_"),
            "{family:?}"
        );
        for metric in family.get_metric() {
            for label in metric.get_label() {
                assert!(
                    ["protocol", "reason", "kind", "listener"].contains(&label.name()),
                    "{label:?}"
                );
                assert!(!label.value().contains("3520930"), "{label:?}");
            }
        }
    }
    assert_eq!(g.metric("records_total", "gt06"), 1.0);
    assert_eq!(g.metric("durable_frames_total", "gt06"), 1.0);
    assert_eq!(g.metric("open_connections", "gt06"), 1.0);
}
