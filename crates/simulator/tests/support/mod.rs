//! A server in the test's own process: reads frames, keeps their records, acknowledges.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waywarden_model::hash::content_hash;
use waywarden_model::{DeviceDirectory, DeviceProfile, Record, SourceId, Standing, Timestamp};
use waywarden_wire::auto::Auto;
use waywarden_wire::{Env, Event, Progress, Session, Settings, Transport};

/// What was filed: (device, event time in milliseconds, content hash), the record, how often.
pub type Filed = BTreeMap<(String, i64, u64), (Record, u32)>;

/// What goes wrong at the server.
#[derive(Clone, Copy, Default)]
pub struct Trouble {
    /// Each connection is cut before this many frames are acknowledged.
    pub cut_at: Option<usize>,
    pub refuse: bool,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    pub filed: Arc<Mutex<Filed>>,
    /// Devices that logged in, in order of their first time.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            filed: Arc::default(),
            seen: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(socket, trouble));
            }
        });
        server
    }

    /// Records filed, repeats not counted.
    pub fn records(&self) -> usize {
        self.filed.lock().unwrap().len()
    }

    async fn serve(self, mut socket: TcpStream, trouble: Trouble) {
        let settings = Settings {
            auth_key: b"the server's".to_vec(),
            ..Settings::default()
        };
        let directory = Directory(trouble.refuse);
        let mut session = Auto::new(Transport::Tcp);
        let (mut input, mut frames) = (Vec::new(), 0);
        while socket.read_buf(&mut input).await.unwrap_or(0) > 0 {
            let env = Env {
                now: Timestamp::from_secs(1_900_000_000),
                directory: &directory,
                settings: &settings,
            };
            let mut events = Vec::new();
            let progress = session.receive(&input, &env, &mut events);
            for event in events {
                if matches!(event, Event::Frame(_)) {
                    frames += 1;
                    if Some(frames) == trouble.cut_at {
                        self.take(event);
                        return;
                    }
                }
                if let Some(reply) = self.take(event)
                    && socket.write_all(&reply).await.is_err()
                {
                    return;
                }
            }
            match progress {
                Progress::NeedMore { consumed } => input.drain(..consumed),
                Progress::Close { .. } => return,
            };
        }
    }

    /// Files what the event says; gives what is to be answered.
    fn take(&self, event: Event) -> Option<Vec<u8>> {
        match event {
            Event::Identified { device, .. } => {
                let mut seen = self.seen.lock().unwrap();
                let id = device.source.to_string();
                if !seen.contains(&id) {
                    seen.push(id);
                }
                None
            }
            Event::Reply(reply) => Some(reply),
            Event::Frame(frame) => {
                let mut filed = self.filed.lock().unwrap();
                for (r, _) in frame.readings.iter() {
                    let r = r.clone();
                    let device = frame.device.source.to_string();
                    let key = (device, r.time.millis(), content_hash(&r));
                    filed.entry(key).or_insert((r, 0)).1 += 1;
                }
                frame.durable_reply
            }
            other => panic!("the fleet sends good frames only: {other:?}"),
        }
    }
}

struct Directory(bool);

impl DeviceDirectory for Directory {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        let standing = if self.0 {
            Standing::Refused
        } else {
            Standing::Known
        };
        DeviceProfile {
            source: SourceId::from(candidates[0].as_str()),
            standing,
            utc_offset_s: None,
            dialect: None,
        }
    }
}
