//! The limit of open files, as high as it may be: each device takes one, and the soft limit that a
//! service manager gives (1,024 with systemd) would cap the gateway far below its own bound.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Brings the soft limit to the hard one and says where it stands. Goes on with the present limit
/// where the system refuses: fewer devices can connect, and nothing else is wrong.
pub fn raise_limit() {
    let present = getrlimit(Resource::Nofile);
    let mut wanted = present;
    wanted.current = wanted.maximum;
    if present.current == wanted.current {
        tracing::debug!(
            open_files = present.current,
            "the limit of open files is at its highest"
        );
        return;
    }
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => tracing::info!(
            before = present.current,
            open_files = wanted.current,
            "the limit of open files was raised"
        ),
        Err(error) => tracing::warn!(
            %error,
            open_files = present.current,
            "the limit of open files cannot be raised; no more devices than that can connect"
        ),
    }
}
