//! The device's power supply cut on the way: a sign of tampering, where the record carries the
//! alarm. At rest a driver may well switch the battery off.
//!
//! Some devices send the alarm once, others with every record until the power is back: the records
//! that carry it, with less than a quiet while between them, are one case. The number is our own.

use crate::profile::Profile;
use crate::step::Served;
use crate::whom::Whom;
use serde::{Deserialize, Serialize};
use waywarden_model::{Alarm, DriverId, Kind, Record, Rule, SourceId, Timestamp, Violation};

/// The cut that goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PowerState(Option<Box<Cut>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cut {
    start: Timestamp,
    end: Timestamp,
    quiet_ms: i64,
    whom: Whom,
    fresh: bool,
}

/// Takes one record of any kind; `driven_by` is who drives while it drives. Gives the violation
/// that it closes.
pub(crate) fn take(
    state: &mut PowerState,
    source: &SourceId,
    record: &Record,
    driven_by: Option<Option<&DriverId>>,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let quiet = |cut: &Cut| record.time.since(cut.end) >= cut.quiet_ms;
    let ended = if state.0.as_deref().is_some_and(quiet) {
        close(state, source)
    } else {
        None
    };
    // Of two kinds of devices the one says that the supply is cut, the other that it is off.
    let told = [Alarm::PowerCut, Alarm::PowerOff].map(|a| record.alarms.contains(a));
    if told == [false, false] {
        return ended;
    }
    match (&mut state.0, &profile.tampering, driven_by) {
        (Some(cut), ..) => {
            cut.end = record.time;
            cut.fresh = true;
        }
        (none, Some(rule), Some(driver)) => {
            *none = Some(Box::new(Cut {
                start: record.time,
                end: record.time,
                quiet_ms: rule.power_quiet_s * 1000,
                whom: Whom::of(served, driver, profile),
                fresh: true,
            }));
        }
        (None, ..) => {}
    }
    ended
}

/// Ends what goes on.
pub(crate) fn close(state: &mut PowerState, source: &SourceId) -> Option<Violation> {
    state.0.take().map(|cut| cut.violation(source, false))
}

/// The violation that goes on, where it has grown since it was last asked for.
pub(crate) fn growing(state: &mut PowerState, source: &SourceId) -> Option<Violation> {
    let cut = state.0.as_mut().filter(|cut| cut.fresh)?;
    cut.fresh = false;
    Some(cut.violation(source, true))
}

impl PowerState {
    pub(crate) fn give_out_again(&mut self) {
        self.0.iter_mut().for_each(|cut| cut.fresh = true);
    }
}

impl Cut {
    fn violation(&self, source: &SourceId, open: bool) -> Violation {
        let times = (self.start, self.end);
        Violation {
            rule: Some(Rule::PowerCut),
            ..self.whom.violation(Kind::Tampering, source, times, open)
        }
    }
}
