//! Transmission gaps (TT 71/2024 Annex IV.III; readings B5, E1, E2).

use crate::distance::raw;
use crate::profile::Profile;
use crate::state::Anchor;
use crate::step::Served;
use waywarden_model::{Distance, Figures, Kind, SourceId, Span, Subject, Violation};

/// The violation between two placed records that follow one another, if there is one: more than
/// 120 s and more than 500 m, both strictly.
pub(crate) fn between(
    from: &Anchor,
    to: &Anchor,
    source: &SourceId,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let rule = profile.transmission.as_ref()?;
    let ms = to.time.since(from.time);
    if ms <= rule.gap_s * 1000 {
        return None;
    }
    let distance = raw(from.position, to.position);
    if distance <= Distance::from_metres(rule.gap_m) {
        return None;
    }
    let vehicle = served.vehicle.as_deref();
    Some(Violation {
        kind: Kind::TransmissionGap,
        rule: None,
        subject: Subject::Source(source.clone()),
        vehicle: vehicle.map(|v| v.vehicle.clone()),
        plate: vehicle.map(|v| v.plate.clone()),
        driver: from.driver.clone(),
        operator: vehicle.and_then(|v| v.operator.clone()),
        start: from.time,
        end: to.time,
        open: false,
        band: None,
        limit: None,
        limit_source: None,
        max_excess: None,
        distance: Some(distance),
        duration_ms: ms,
        limit_ms: None,
        profile: profile.id.clone(),
        registry: served.registry,
        figures: Figures {
            at: Some((from.position.lat(), from.position.lon())),
            ..Figures::default()
        },
        spans: vec![Span {
            source: source.clone(),
            from: from.time,
            to: to.time,
            every: true,
        }],
    })
}
