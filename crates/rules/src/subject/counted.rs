//! Adding up driving until a limit is passed, where the law may change on the way.

use super::Piece;
use crate::profile::{Profile, Profiles};
use waywarden_model::{Period, Timestamp};

/// Driving that is more than its limit ('không quá': exactly as much is allowed, D7), or rest that
/// is less.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    pub first: Timestamp,
    pub last: Timestamp,
    /// What was driven, or rested.
    pub ms: i64,
    pub limit_ms: i64,
    /// What was driven at the instant at which the limit was passed (D19).
    pub passed_in: &'a Period,
    pub profile: &'a Profile,
}

impl<'a> Counted<'a> {
    /// Judged by the profile in force at the instant at which its limit is passed; None where it
    /// never is.
    pub fn of(
        profiles: &'a Profiles,
        pieces: &[Piece<'a>],
        limit_ms: impl Fn(&Profile) -> Option<i64>,
    ) -> Option<Self> {
        let mut driven = 0;
        for piece in pieces {
            for profile in profiles.iter() {
                let Some(limit) = limit_ms(profile) else {
                    continue;
                };
                let passed = piece.start.plus_millis((limit - driven).max(0));
                let passed = passed.max(profile.validity.from);
                if passed < piece.end && passed < profile.validity.until {
                    return Some(Self::passed(pieces, piece.period, profile, limit));
                }
            }
            driven += piece.ms();
        }
        None
    }

    /// Judged by one profile throughout.
    pub fn by(profile: &'a Profile, pieces: &[Piece<'a>], limit_ms: i64) -> Option<Self> {
        let mut driven = 0;
        let passed_in = pieces.iter().find(|p| {
            driven += p.ms();
            driven > limit_ms
        })?;
        Some(Self::passed(pieces, passed_in.period, profile, limit_ms))
    }

    fn passed(
        pieces: &[Piece<'a>],
        passed_in: &'a Period,
        profile: &'a Profile,
        limit_ms: i64,
    ) -> Self {
        Self {
            first: pieces.first().map_or(passed_in.start, |p| p.start),
            last: pieces.last().map_or(passed_in.end, |p| p.end),
            ms: pieces.iter().map(Piece::ms).sum(),
            limit_ms,
            passed_in,
            profile,
        }
    }
}

/// The piece driven at `t`, else the first after it, else the last.
pub(crate) fn driven_at<'p, 'a>(pieces: &'p [Piece<'a>], t: Timestamp) -> Option<&'p Piece<'a>> {
    let n = pieces.partition_point(|p| p.end <= t);
    pieces.get(n).or(pieces.last())
}
