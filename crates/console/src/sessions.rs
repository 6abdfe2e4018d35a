//! Pages that are signed in, the one-use links that sign them in, and who failed too often.

use crate::auth::{hash_secret, new_secret};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;
use waywarden_model::Timestamp;
use waywarden_store::{Role, TokenHash};

/// Links that wait to be used, at most.
const MAX_LINKS: usize = 64;
/// Addresses whose failures are counted, at most.
const MAX_ADDRESSES: usize = 4096;
const WINDOW_MS: i64 = 60_000;

#[derive(Clone, Debug)]
struct Entry {
    hash: TokenHash,
    role: Role,
    expires: Timestamp,
    /// The token that a session was opened with: it lasts no longer than the token does.
    token: Option<TokenHash>,
}

/// A page that is signed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub role: Role,
    pub expires: Timestamp,
    pub token: Option<TokenHash>,
}

#[derive(Debug, Default)]
struct Tables {
    links: Vec<Entry>,
    sessions: Vec<Entry>,
    failures: HashMap<IpAddr, (Timestamp, u32)>,
}

/// Lives in memory: a restart signs every page out.
#[derive(Debug)]
pub(crate) struct Sessions {
    tables: Mutex<Tables>,
    lifetime_ms: i64,
    link_ms: i64,
    max_sessions: usize,
    max_failures: u32,
}

impl Sessions {
    pub fn new(config: &crate::ConsoleConfig) -> Self {
        let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4);
        Self {
            tables: Mutex::default(),
            lifetime_ms: ms(config.session_lifetime),
            link_ms: ms(config.link_lifetime),
            max_sessions: config.max_sessions,
            max_failures: config.max_failures,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // The tables are whole between any two statements.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A code that signs in once.
    pub fn link(&self, role: Role, now: Timestamp) -> String {
        let (secret, hash) = new_secret();
        let expires = now.plus_millis(self.link_ms);
        let mut t = self.lock();
        add(&mut t.links, entry(hash, role, expires), MAX_LINKS, now);
        secret
    }

    /// Takes the code for a session; the code is spent whether or not it was in time.
    pub fn enter(&self, code: &str, now: Timestamp) -> Option<String> {
        let hash = hash_secret(code);
        let mut t = self.lock();
        let at = find(&t.links, &hash)?;
        let link = t.links.swap_remove(at);
        if link.expires <= now {
            return None;
        }
        drop(t);
        Some(self.open(link.role, None, now))
    }

    /// Opens a session; with a token it is in that one's name.
    pub fn open(&self, role: Role, token: Option<TokenHash>, now: Timestamp) -> String {
        let (secret, hash) = new_secret();
        let session = Entry {
            token,
            ..entry(hash, role, now.plus_millis(self.lifetime_ms))
        };
        let mut t = self.lock();
        add(&mut t.sessions, session, self.max_sessions, now);
        secret
    }

    pub fn find(&self, secret: &str, now: Timestamp) -> Option<Session> {
        let t = self.lock();
        let found = &t.sessions[find(&t.sessions, &hash_secret(secret))?];
        (now < found.expires).then_some(Session {
            role: found.role,
            expires: found.expires,
            token: found.token,
        })
    }

    pub fn end(&self, secret: &str) {
        let mut t = self.lock();
        if let Some(at) = find(&t.sessions, &hash_secret(secret)) {
            t.sessions.swap_remove(at);
        }
    }

    /// Seconds that the address has to wait, when it failed too often.
    pub fn blocked(&self, address: IpAddr, now: Timestamp) -> Option<u64> {
        let t = self.lock();
        let (since, count) = t.failures.get(&address)?;
        let left = WINDOW_MS - now.since(*since);
        (*count >= self.max_failures && left > 0)
            .then(|| u64::try_from(left / 1000).unwrap_or(0) + 1)
    }

    pub fn failed(&self, address: IpAddr, now: Timestamp) {
        let mut t = self.lock();
        if t.failures.len() >= MAX_ADDRESSES && !t.failures.contains_key(&address) {
            t.failures
                .retain(|_, (since, _)| now.since(*since) < WINDOW_MS);
            if t.failures.len() >= MAX_ADDRESSES {
                t.failures.clear();
            }
        }
        let slot = t.failures.entry(address).or_insert((now, 0));
        if now.since(slot.0) >= WINDOW_MS {
            *slot = (now, 0);
        }
        slot.1 = slot.1.saturating_add(1);
    }
}

fn entry(hash: TokenHash, role: Role, expires: Timestamp) -> Entry {
    Entry {
        hash,
        role,
        expires,
        token: None,
    }
}

fn find(list: &[Entry], hash: &TokenHash) -> Option<usize> {
    list.iter().position(|e| e.hash.ct_eq(hash).into())
}

/// Drops what has expired, then the oldest where the list is full.
fn add(list: &mut Vec<Entry>, new: Entry, max: usize, now: Timestamp) {
    list.retain(|e| now < e.expires);
    if list.len() >= max {
        let oldest = (0..list.len()).min_by_key(|i| list[*i].expires);
        if let Some(at) = oldest {
            list.swap_remove(at);
        }
    }
    list.push(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(max_sessions: usize) -> Sessions {
        Sessions::new(&crate::ConsoleConfig {
            max_sessions,
            ..crate::ConsoleConfig::default()
        })
    }

    #[test]
    fn a_link_is_good_once_and_for_ten_minutes() {
        let s = sessions(2);
        let now = Timestamp::from_secs(1000);
        let code = s.link(Role::Operator, now);
        let session = s.enter(&code, now).unwrap();
        assert!(s.enter(&code, now).is_none());
        assert_eq!(s.find(&session, now).unwrap().role, Role::Operator);
        assert!(s.find(&session, now.plus_millis(12 * 3_600_000)).is_none());
        let late = s.link(Role::Viewer, now);
        assert!(s.enter(&late, now.plus_millis(600_000)).is_none());
        s.end(&session);
        assert!(s.find(&session, now).is_none());
    }

    #[test]
    fn the_oldest_page_is_signed_out_for_a_new_one() {
        let s = sessions(2);
        let pages: Vec<String> = (0..3)
            .map(|i| {
                let now = Timestamp::from_secs(i);
                s.enter(&s.link(Role::Viewer, now), now).unwrap()
            })
            .collect();
        let now = Timestamp::from_secs(5);
        let alive: Vec<bool> = pages.iter().map(|p| s.find(p, now).is_some()).collect();
        assert_eq!(alive, [false, true, true]);
    }

    #[test]
    fn who_fails_too_often_waits() {
        let s = sessions(1);
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Timestamp::from_secs(0);
        for _ in 0..20 {
            assert_eq!(s.blocked(a, now), None);
            s.failed(a, now);
        }
        assert_eq!(s.blocked(a, now), Some(61));
        assert_eq!(s.blocked(b, now), None);
        assert_eq!(s.blocked(a, now.plus_millis(60_000)), None);
    }
}
