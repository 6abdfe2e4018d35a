//! The agencies' pull: which of the changes looked at are given, kept back or left for later. The
//! databases look; what follows from it is here.

use crate::batch::Result;
use crate::read::{Pull, PullPlan};
use crate::rows::Columns;
use waywarden_model::Timestamp;

/// A change as a pull looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked {
    pub seq: i64,
    at: Timestamp,
    open: bool,
    /// A source that it rests on awaits a rebuild.
    marked: bool,
    matches: bool,
}

/// Reads number, instant, whether the violation is open, whether marked, whether it matches.
pub(crate) fn looked(c: &mut impl Columns) -> Result<Looked> {
    Ok(Looked {
        seq: c.number()?,
        at: c.time()?,
        open: c.yes()?,
        marked: c.yes()?,
        // A column that is null makes the expression null, which does not match.
        matches: c.flag()?.unwrap_or(false),
    })
}

/// `held` are the changes kept back before that are still on file, `found` those behind the cursor,
/// at most as many as the pull takes.
pub(crate) fn plan(pull: &Pull, held: &[Looked], found: &[Looked]) -> PullPlan {
    let mut out = PullPlan {
        seen: pull.after,
        more: found.len() == pull.limit,
        ..PullPlan::default()
    };
    for l in held {
        judge(l, pull, &mut out);
    }
    for l in found {
        let young = pull.settled_before.is_some_and(|t| l.at > t);
        let full = l.marked && out.held.len() >= pull.max_held;
        if young || (full && pull.settled_before.is_some()) {
            // Nothing behind it may be passed: it is given as soon as it has settled.
            out.more = false;
            break;
        }
        judge(l, pull, &mut out);
        out.seen = l.seq;
    }
    out
}

fn judge(l: &Looked, pull: &Pull, out: &mut PullPlan) {
    if !l.matches {
        return;
    }
    if pull.settled_before.is_none() {
        out.give.push(l.seq);
    } else if l.open {
        // Closing it writes a change of its own, which is given then.
    } else if l.marked {
        out.held.push(l.seq);
    } else {
        out.give.push(l.seq);
    }
}
