//! The speed limit at a point: the vehicle's own, else sign, else zone, else class.

use crate::profile::Profile;
use std::sync::Arc;
use waywarden_model::registry::{Assignment, RoadSetting};
use waywarden_model::{Course, LimitSource, Position, Speed, Timestamp};
use waywarden_roads::Network;

/// A limit and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    pub speed: Speed,
    pub source: LimitSource,
    pub object: Option<Arc<str>>,
}

/// The limit in force for a vehicle at a place and time (TT 38/2024; readings C5, C10).
pub(crate) fn at(
    network: &Network,
    profile: &Profile,
    vehicle: Option<&Assignment>,
    place: (Position, Option<Course>),
    t: Timestamp,
) -> Limit {
    if let Some(speed) = vehicle.and_then(|v| v.speed_limit) {
        return Limit {
            speed,
            source: LimitSource::Vehicle,
            object: None,
        };
    }
    if let Some(published) = network.limit_at(place.0, place.1, t) {
        return Limit {
            speed: published.limit,
            source: published.source,
            object: Some(published.object),
        };
    }
    // Where the road is unknown: outside built-up areas, dual carriageway (C10).
    let setting = network
        .setting_at(place.0, t)
        .unwrap_or(RoadSetting::OutsideDual);
    let known = vehicle
        .and_then(|v| v.class)
        .and_then(|c| profile.class_limit(c, setting));
    match known {
        Some(speed) => Limit {
            speed,
            source: LimitSource::Class,
            object: None,
        },
        None => Limit {
            speed: unknown_class(profile, setting),
            source: LimitSource::ClassUnknown,
            object: None,
        },
    }
}

/// A guess must not accuse: the highest outside built-up areas, 80 where the road is known not to
/// be a dual carriageway.
fn unknown_class(profile: &Profile, setting: RoadSetting) -> Speed {
    profile.highest_class_limit(match setting {
        RoadSetting::OutsideOther | RoadSetting::BuiltUpOther => RoadSetting::OutsideOther,
        RoadSetting::OutsideDual | RoadSetting::BuiltUpDual => RoadSetting::OutsideDual,
    })
}
