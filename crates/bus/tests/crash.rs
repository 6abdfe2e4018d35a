//! SIGKILL at any moment: what was confirmed is there, offsets go on without holes or reuse.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use waywarden_bus::{Append, EmbeddedLog, Log, Options};
use waywarden_model::Timestamp;

const DIR: &str = "WAYWARDEN_TEST_CRASH_DIR";

fn options() -> Options {
    Options {
        partitions: 4,
        // Several segments are made within the life of one child.
        segment_bytes: 64 * 1024,
        tail_bytes: 1024,
        ..Options::default()
    }
}

/// The victim: run by the test below in a process of its own.
#[test]
#[ignore = "started by confirmed_messages_survive_a_kill"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(append_for_ever(Path::new(&dir)));
}

async fn append_for_ever(dir: &Path) {
    let log = EmbeddedLog::open(dir, options()).unwrap();
    let begin = log.range(0).await.unwrap().1;
    let mut out = std::io::stdout().lock();
    for batch in 0.. {
        let mut receipts = Vec::new();
        for n in 0..20u32 {
            let partition = n % 4;
            let text = format!("{begin} {batch} {n} {}", "x".repeat(100));
            let receipt = log.append(partition, Bytes::from(text.clone())).await;
            receipts.push((partition, text, receipt.unwrap()));
        }
        for (partition, text, receipt) in receipts {
            let offset = receipt.await.unwrap().unwrap();
            writeln!(out, "confirmed {partition} {offset} {text}").unwrap();
        }
        out.flush().unwrap();
        if batch % 7 == 3 {
            // Retention in the middle of it: all but the last 200 of each partition.
            for partition in 0..4 {
                let (_, end) = log.range(partition).await.unwrap();
                log.release(partition, end.saturating_sub(200))
                    .await
                    .unwrap();
            }
            log.trim(Timestamp::MAX).await.unwrap();
        }
    }
}

/// Starts a child, kills it after `life`, and gives what it said was durable.
fn killed_after(dir: &Path, life: Duration) -> Vec<(u32, u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut confirmed = Vec::new();
        // The last line may be cut by the kill: only whole ones count.
        for line in out.lines().map_while(Result::ok) {
            let mut words = line.splitn(4, ' ');
            if let (Some("confirmed"), Some(p), Some(o), Some(text)) =
                (words.next(), words.next(), words.next(), words.next())
                && text.len() > 100
            {
                confirmed.push((p.parse().unwrap(), o.parse().unwrap(), text.to_owned()));
            }
        }
        confirmed
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

async fn everything(dir: &Path) -> Vec<(u64, BTreeMap<u64, String>)> {
    let log = EmbeddedLog::open(dir, options()).unwrap();
    let mut partitions = Vec::new();
    for partition in 0..4 {
        let (begin, end) = log.range(partition).await.unwrap();
        let mut held = BTreeMap::new();
        let mut from = begin;
        while from < end {
            for entry in log.read(partition, from, 1000, 1 << 20).await.unwrap() {
                assert_eq!(entry.offset, from, "no holes");
                from += 1;
                let text = String::from_utf8(entry.payload.to_vec()).unwrap();
                held.insert(entry.offset, text);
            }
        }
        partitions.push((begin, held));
    }
    log.close().await;
    partitions
}

#[test]
fn confirmed_messages_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut before: Vec<(u64, BTreeMap<u64, String>)> = vec![Default::default(); 4];
    let mut total = 0;
    for life in [150, 270, 330, 410, 480, 560] {
        let confirmed = killed_after(dir.path(), Duration::from_millis(life));
        total += confirmed.len();
        let now = runtime.block_on(everything(dir.path()));
        for (partition, offset, text) in &confirmed {
            let (begin, held) = &now[*partition as usize];
            if offset >= begin {
                assert_eq!(held.get(offset), Some(text), "confirmed and not there");
            }
        }
        for ((_, old), (begin, held)) in before.iter().zip(&now) {
            for (offset, text) in old.range(begin..) {
                assert_eq!(held.get(offset), Some(text), "an offset was used twice");
            }
        }
        before = now;
    }
    assert!(total > 100, "the children confirmed only {total} messages");
}
