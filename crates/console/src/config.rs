//! Settings of the listener, checked before it opens.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Certificate chain and key, PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Settings with their defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsoleConfig {
    /// Default 127.0.0.1:8080. Beyond loopback `tls` or `trusted_proxies` must be set.
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    /// Addresses of proxies that end TLS; only theirs is a forwarded client address believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Longest body of a request, bytes. Default 64 KiB.
    pub max_body: usize,
    /// Until the answer begins. Default 30 s.
    pub request_timeout: Duration,
    /// Requests answered at once; more are told to come again. Default 128.
    pub max_requests: usize,
    /// Live streams at once. Default 64.
    pub max_live: usize,
    /// Exports and pulls that stream at once. Default 8.
    pub max_streams: usize,
    /// How long a page stays signed in. Default 12 h.
    pub session_lifetime: Duration,
    /// Pages signed in at once; the oldest is signed out for a new one. Default 256.
    pub max_sessions: usize,
    /// A one-use link is good for this long. Default 10 min.
    pub link_lifetime: Duration,
    /// Refused sign-ins of one address in a minute, before it has to wait. Default 20.
    pub max_failures: u32,
    /// A change is settled when it is this old. Default 5 min.
    pub settled_after: Duration,
    /// A vehicle from which nothing has been received for this long is silent. Default 30 min.
    pub silent_after: Duration,
    /// Language of the page before the user chooses: `vi` or `en`. Default `vi`.
    pub language: String,
    /// Time for requests in flight when the console stops. Default 5 s.
    pub shutdown_grace: Duration,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: None,
            trusted_proxies: Vec::new(),
            max_body: 64 << 10,
            request_timeout: Duration::from_secs(30),
            max_requests: 128,
            max_live: 64,
            max_streams: 8,
            session_lifetime: Duration::from_secs(12 * 3600),
            max_sessions: 256,
            link_lifetime: Duration::from_secs(600),
            max_failures: 20,
            settled_after: Duration::from_secs(300),
            silent_after: Duration::from_secs(1800),
            language: "vi".into(),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0} is not a loopback address: it needs TLS or a declared trusted proxy")]
    Unprotected(SocketAddr),
    #[error("`{0}` must be greater than zero")]
    Zero(&'static str),
}

impl ConsoleConfig {
    /// # Errors
    /// What must not be opened, or would never answer.
    pub fn check(&self) -> Result<(), ConfigError> {
        let protected = self.tls.is_some() || !self.trusted_proxies.is_empty();
        if !self.listen.ip().is_loopback() && !protected {
            return Err(ConfigError::Unprotected(self.listen));
        }
        for (name, value) in [
            ("max_requests", self.max_requests),
            ("max_streams", self.max_streams),
            ("max_sessions", self.max_sessions),
            ("max_live", self.max_live),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        Ok(())
    }

    /// Cookies are marked Secure: the browser reaches us over TLS.
    pub(crate) fn secure_cookies(&self) -> bool {
        self.tls.is_some() || !self.trusted_proxies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_something_must_protect() {
        let open = ConsoleConfig {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            ..ConsoleConfig::default()
        };
        assert_eq!(open.check(), Err(ConfigError::Unprotected(open.listen)));
        let proxied = ConsoleConfig {
            trusted_proxies: vec![IpAddr::from([10, 0, 0, 1])],
            ..open
        };
        assert_eq!(proxied.check(), Ok(()));
        assert_eq!(ConsoleConfig::default().check(), Ok(()));
    }
}
