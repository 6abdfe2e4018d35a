//! The spool before a log that comes and goes: what was confirmed arrives, in order.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use waywarden_bus::{Append, BusError, EmbeddedLog, Messages, Options, Receipt};
use waywarden_gateway::{Connect, Spool, SpoolOptions, Unreachable};

const PARTITIONS: u32 = 2;

/// How the far log behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Fine,
    /// Takes messages and never says more, until purged.
    Silent,
    /// Takes and keeps messages, and says that they failed.
    Forked,
    /// Refuses to take any.
    Refusing,
    /// Confirms one message each [`SLOW`].
    Slow,
}

type Told = oneshot::Sender<Result<u64, BusError>>;

const SLOW: Duration = Duration::from_millis(15);

/// A far log: what it confirmed and, forked, what it has all the same.
#[derive(Debug)]
struct Far {
    inner: Mutex<Inner>,
    /// Whether the next message is taken at once.
    has_room: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    /// Messages of each partition.
    kept: Vec<Vec<Bytes>>,
    /// Slow, what waits for being confirmed.
    waiting: VecDeque<(u32, Messages, Told)>,
    unanswered: Vec<Told>,
}

impl Far {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                mood,
                kept: vec![Vec::new(); PARTITIONS as usize],
                waiting: VecDeque::new(),
                unanswered: Vec::new(),
            }),
            has_room: AtomicBool::new(false),
        })
    }

    fn set(&self, mood: Mood) {
        self.inner.lock().unwrap().mood = mood;
    }

    /// Confirms what waits, one message after the other.
    async fn confirm_slowly(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SLOW).await;
            let mut inner = self.inner.lock().unwrap();
            if let Some((partition, messages, told)) = inner.waiting.pop_front() {
                let kept = &mut inner.kept[partition as usize];
                kept.extend(messages);
                let _ = told.send(Ok(kept.len() as u64 - 1));
            }
        }
    }

    fn take(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        let mut inner = self.inner.lock().unwrap();
        let (told, receipt) = oneshot::channel();
        let mood = inner.mood;
        let kept = &mut inner.kept[partition as usize];
        match mood {
            Mood::Fine => {
                kept.extend(messages);
                told.send(Ok(kept.len() as u64 - 1)).unwrap();
            }
            Mood::Forked => {
                kept.extend(messages);
                let lost = BusError::Write("no answer of the leader".into());
                told.send(Err(lost)).unwrap();
            }
            Mood::Silent => inner.unanswered.push(told),
            Mood::Refusing => return Err(BusError::Write("queue full".into())),
            Mood::Slow => inner.waiting.push_back((partition, messages, told)),
        }
        Ok(receipt)
    }

    /// The numbers of one source's messages in the order in which each came first.
    fn seen(&self, partition: u32, source: u32) -> Vec<u32> {
        let inner = self.inner.lock().unwrap();
        let mut found: Vec<u32> = Vec::new();
        for payload in &inner.kept[partition as usize] {
            let text = std::str::from_utf8(payload).unwrap();
            let (of, n) = text.split_once(':').unwrap();
            let n = n.parse().unwrap();
            if of == source.to_string() && !found.contains(&n) {
                found.push(n);
            }
        }
        found
    }
}

#[async_trait]
impl Append for Far {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        self.take(partition, messages)
    }

    /// Every other time there is no room.
    fn try_append_all(
        &self,
        partition: u32,
        messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        let has_room = self.has_room.fetch_not(Ordering::Relaxed);
        has_room.then(|| self.take(partition, messages.clone()))
    }

    fn purge(&self) {
        let mut inner = self.inner.lock().unwrap();
        let waiting = std::mem::take(&mut inner.waiting);
        let waiting = waiting.into_iter().map(|(_, _, told)| told);
        let unanswered = std::mem::take(&mut inner.unanswered);
        for told in unanswered.into_iter().chain(waiting) {
            let _ = told.send(Err(BusError::Write("purged".into())));
        }
    }

    async fn close(&self) {}
}

fn options(folder: &Path) -> SpoolOptions {
    SpoolOptions {
        folder: folder.to_owned(),
        patience: Duration::from_millis(200),
        retry: Duration::from_millis(20),
        max_bytes: 1 << 30,
    }
}

fn connecting(far: &Arc<Far>) -> Connect {
    let far = Arc::clone(far);
    Arc::new(move || {
        let far = Arc::clone(&far);
        Box::pin(async move {
            let mood = far.inner.lock().unwrap().mood;
            if mood == Mood::Refusing {
                return Err(Unreachable {
                    what: "nobody answers".into(),
                    lasting: false,
                });
            }
            Ok(far as Arc<dyn Append>)
        })
    })
}

async fn open(folder: &Path, far: &Arc<Far>) -> Spool {
    open_with(options(folder), far).await
}

async fn open_with(options: SpoolOptions, far: &Arc<Far>) -> Spool {
    let small = Options {
        partitions: PARTITIONS,
        segment_bytes: 64 * 1024,
        ..Options::default()
    };
    let local = EmbeddedLog::open(&options.folder, small).unwrap();
    Spool::open(local, connecting(far), options).await.unwrap()
}

async fn send(spool: &Spool, source: u32, n: u32) -> Receipt {
    send_all(spool, source, n..n + 1).await
}

/// As one.
async fn send_all(spool: &Spool, source: u32, numbers: Range<u32>) -> Receipt {
    let messages: Messages = numbers
        .map(|n| Bytes::from(format!("{source}:{n}")))
        .collect();
    let partition = source % PARTITIONS;
    match spool.try_append_all(partition, &messages) {
        Some(taken) => taken.unwrap(),
        None => spool.append_all(partition, messages).await.unwrap(),
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_every_mood_what_is_confirmed_arrives_in_order() {
    let folder = TempDir::new().unwrap();
    let far = Far::new(Mood::Fine);
    let spool = open(folder.path(), &far).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut sources = Vec::new();
    for source in 0..4 {
        let (spool, stop) = (spool.clone(), Arc::clone(&stop));
        sources.push(tokio::spawn(async move {
            let (mut n, mut receipts) = (0, Vec::new());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // What one read of a connection gives: one message, or several as one.
                let next = n + 1 + (n + source) % 3;
                receipts.push(send_all(&spool, source, n..next).await);
                n = next;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for receipt in receipts {
                receipt.await.unwrap().unwrap();
            }
            n
        }));
    }
    let mut trips = 0;
    for mood in [Mood::Silent, Mood::Forked, Mood::Refusing, Mood::Silent] {
        tokio::time::sleep(Duration::from_millis(60)).await;
        far.set(mood);
        until("it trips", || spool.state().spooling).await;
        trips += 1;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(
            spool.state().spooling,
            "a log that is away drains nothing: {mood:?}"
        );
        far.set(Mood::Fine);
        until("it closes", || !spool.state().spooling).await;
        assert_eq!(spool.state().messages, 0);
    }
    assert_eq!(trips, 4);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for (source, sent) in (0..).zip(sources) {
        let sent = sent.await.unwrap();
        let all: Vec<u32> = (0..sent).collect();
        assert_eq!(
            far.seen(source % PARTITIONS, source),
            all,
            "source {source}"
        );
    }
    spool.close().await;
}

/// A round of what waits takes longer than the patience for one message: what was confirmed of it
/// counts, so that the rest follows and nothing is sent for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_slow_line_the_spool_drains_all_the_same() {
    let folder = TempDir::new().unwrap();
    let far = Far::new(Mood::Refusing);
    let spool = open(folder.path(), &far).await;
    for n in 0..100 {
        send(&spool, 0, n).await.await.unwrap().unwrap();
    }
    let confirming = tokio::spawn(Arc::clone(&far).confirm_slowly());
    far.set(Mood::Slow);
    until("it drains", || spool.state().messages == 0).await;
    assert_eq!(far.seen(0, 0), (0..100).collect::<Vec<_>>());
    let sent = far.inner.lock().unwrap().kept[0].len();
    assert!(sent < 120, "{sent} messages for 100");
    confirming.abort();
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spooled_goes_on_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let far = Far::new(Mood::Refusing);
    let spool = open(folder.path(), &far).await;
    assert!(spool.state().spooling, "the log was away from the start");
    for n in 0..100 {
        send(&spool, 1, n).await.await.unwrap().unwrap();
    }
    assert_eq!(spool.state().messages, 100);
    spool.close().await;
    assert!(matches!(
        spool.append(0, Bytes::new()).await,
        Err(BusError::Closed)
    ));
    drop(spool);
    far.set(Mood::Fine);
    let spool = open(folder.path(), &far).await;
    send(&spool, 1, 100).await.await.unwrap().unwrap();
    until("it drains", || !spool.state().spooling).await;
    assert_eq!(far.seen(1, 1), (0..=100).collect::<Vec<_>>());
    spool.close().await;
    drop(spool);
    let spool = open(folder.path(), &far).await;
    assert!(!spool.state().spooling, "nothing was left");
    assert_eq!(
        far.inner.lock().unwrap().kept[1].len(),
        101,
        "nothing was sent again"
    );
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_takes_nothing_more_and_goes_on_by_itself() {
    let folder = TempDir::new().unwrap();
    let far = Far::new(Mood::Refusing);
    let mut bounded = options(folder.path());
    bounded.max_bytes = 512 * 1024;
    let spool = open_with(bounded, &far).await;
    let payload = || Bytes::from([b"7:".as_slice(), &vec![b'0'; 20_000], b"1"].concat());
    let mut receipts = Vec::new();
    for _ in 0..100 {
        receipts.push(spool.append(1, payload()).await.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        if spool.state().full {
            break;
        }
    }
    assert!(spool.state().full, "{:?}", spool.state());
    let mut waiting = spool.append(1, payload()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err(), "what does not fit is not confirmed");
    far.set(Mood::Fine);
    for receipt in receipts {
        receipt.await.unwrap().unwrap();
    }
    let late = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    late.unwrap().unwrap().unwrap();
    until("it closes", || {
        !spool.state().spooling && !spool.state().full
    })
    .await;
    spool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_may_not_be_used_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let small = Options {
        partitions: PARTITIONS,
        ..Options::default()
    };
    let local = EmbeddedLog::open(folder.path(), small).unwrap();
    let connect: Connect = Arc::new(|| {
        Box::pin(async {
            Err(Unreachable {
                what: "it forgets after a week".into(),
                lasting: true,
            })
        })
    });
    let refused = Spool::open(local, connect, options(folder.path())).await;
    assert!(refused.unwrap_err().lasting);
}
