//! In service with a permit that does not entitle: the driver's licence, the vehicle's inspection
//! and badge, the operator's licence, by the registers at the time of each fix that drives.
//!
//! What lapsed is one violation a local day, from the first to the last such fix: it is the day's
//! service that is at fault, not each trip of it.

use crate::named::Named;
use crate::profile::Profile;
use crate::state::Anchor;
use crate::step::{Context, Served};
use crate::whom::Whom;
use serde::{Deserialize, Serialize};
use waywarden_model::registry::{Lapse, Permit};
use waywarden_model::{Kind, Rule, SourceId, Timestamp, Violation};

/// What was found in the local day that goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PermitState(Vec<Found>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    kind: Kind,
    rule: Rule,
    start: Timestamp,
    end: Timestamp,
    whom: Whom,
    fresh: bool,
}

/// Takes one valid fix that drives.
pub(crate) fn take(
    state: &mut PermitState,
    named: &mut Named,
    fix: &Anchor,
    ctx: &Context<'_>,
    served: &Served<'_>,
    profile: &Profile,
) {
    let vehicle = served.vehicle.as_deref();
    let of_vehicle = vehicle.into_iter().flat_map(|v| {
        [
            (Kind::Inspection, v.inspection),
            (Kind::Badge, v.badge),
            (Kind::OperatorLicence, v.operator_licence),
        ]
    });
    let lapsed = |(kind, permit): (Kind, Permit)| Some((kind, lapse(permit, fix.time)?));
    let found = of_vehicle.filter_map(lapsed);
    let licence = licence(named, fix, ctx, served, profile);
    for (kind, rule) in found.chain(licence.map(|rule| (Kind::DrivingLicence, rule))) {
        let driver = fix.driver.as_ref();
        let same = |f: &&mut Found| {
            let named = kind != Kind::DrivingLicence || f.whom.driver.as_ref() == driver;
            (f.kind, f.rule) == (kind, rule) && named && f.whom.serves(served)
        };
        match state.0.iter_mut().find(same) {
            Some(known) => {
                known.end = fix.time;
                known.fresh = true;
            }
            None => state.0.push(Found {
                kind,
                rule,
                start: fix.time,
                end: fix.time,
                whom: Whom::of(served, driver, profile),
                fresh: true,
            }),
        }
    }
}

fn lapse(permit: Permit, t: Timestamp) -> Option<Rule> {
    Some(match permit.lapse(t)? {
        Lapse::Expired => Rule::Expired,
        Lapse::Withdrawn => Rule::Withdrawn,
    })
}

/// What is wrong with the licence of a registered driver; of its class only where the law in force
/// knows it and the vehicle's.
fn licence(
    named: &mut Named,
    fix: &Anchor,
    ctx: &Context<'_>,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Rule> {
    let class = served.vehicle.as_deref().and_then(|v| v.class);
    let licence = named.licence(fix.driver.as_ref()?, class, fix.time, ctx, profile)?;
    let wrong_class = licence.wrong_class.then_some(Rule::WrongClass);
    lapse(licence.permit, fix.time).or(wrong_class)
}

/// Ends the day's.
pub(crate) fn close(state: &mut PermitState, source: &SourceId) -> Vec<Violation> {
    let found = std::mem::take(&mut state.0).into_iter();
    found.map(|f| f.violation(source, false)).collect()
}

/// The violations of the day that goes on, where they have grown since they were last asked for.
pub(crate) fn growing(state: &mut PermitState, source: &SourceId) -> Vec<Violation> {
    let due = state.0.iter_mut().filter(|f| f.fresh);
    due.map(|f| {
        f.fresh = false;
        f.violation(source, true)
    })
    .collect()
}

impl Found {
    /// Rests on the first and the last record: between them it is the same.
    fn violation(&self, source: &SourceId, open: bool) -> Violation {
        let times = (self.start, self.end);
        let mut violation = self.whom.violation(self.kind, source, times, open);
        violation.rule = Some(self.rule);
        violation.spans.iter_mut().for_each(|s| s.every = false);
        violation
    }
}
