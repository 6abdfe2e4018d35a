//! What a gateway does around a session: keeps what is not consumed, hands over all of it.

use waywarden_model::{DeviceDirectory, DeviceProfile, Standing, Timestamp};
use waywarden_wire::{Env, Event, Progress, Session, Settings};

/// Receipt of everything in these tests: 2026-03-10T01:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_773_104_400);

/// A directory that gives every device the same standing.
#[derive(Debug)]
pub struct Everybody {
    pub standing: Standing,
    pub utc_offset_s: Option<i32>,
    pub dialect: Option<String>,
}

impl Everybody {
    pub const fn known() -> Self {
        Self {
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

impl DeviceDirectory for Everybody {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        let first = candidates.first().map_or("", String::as_str);
        DeviceProfile {
            source: first.into(),
            standing: self.standing,
            utc_offset_s: self.utc_offset_s,
            dialect: self.dialect.clone(),
        }
    }
}

/// A session with its buffer.
#[derive(Debug)]
pub struct Driver {
    session: Box<dyn Session>,
    pub directory: Everybody,
    pub settings: Settings,
    pub pending: Vec<u8>,
    pub closed: bool,
}

impl Driver {
    pub fn new(session: Box<dyn Session>) -> Self {
        Self {
            session,
            directory: Everybody::known(),
            settings: Settings {
                auth_key: b"a key for tests only".to_vec(),
                ..Settings::default()
            },
            pending: Vec::new(),
            closed: false,
        }
    }

    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.settings.lenient_checksums = lenient;
        self
    }

    #[must_use]
    pub fn with(mut self, directory: Everybody) -> Self {
        self.directory = directory;
        self
    }

    /// Hands over `bytes` behind what was left. After a close nothing is read any more.
    pub fn feed(&mut self, bytes: &[u8]) -> (Vec<Event>, Progress) {
        let mut events = Vec::new();
        if self.closed {
            return (events, Progress::NeedMore { consumed: 0 });
        }
        self.pending.extend_from_slice(bytes);
        let env = Env {
            now: NOW,
            directory: &self.directory,
            settings: &self.settings,
        };
        let progress = self.session.receive(&self.pending, &env, &mut events);
        let consumed = match progress {
            Progress::NeedMore { consumed } => consumed,
            Progress::Close { consumed, .. } => {
                self.closed = true;
                consumed
            }
        };
        assert!(
            consumed <= self.pending.len(),
            "consumed what was not there"
        );
        self.pending.drain(..consumed);
        (events, progress)
    }

    /// Feeds and gives the events only.
    pub fn events(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.feed(bytes).0
    }
}

/// Number of records in the events.
pub fn records_in(events: &[Event]) -> usize {
    events
        .iter()
        .map(|e| match e {
            Event::Frame(f) => f.readings.len(),
            _ => 0,
        })
        .sum()
}
