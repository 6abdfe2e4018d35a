//! A position that jumps and stays where it jumped to: a sign of tampering. No text counts signs,
//! so the numbers are our own, and a person judges.

use crate::distance::raw;
use crate::profile::Profile;
use crate::state::Anchor;
use crate::step::Served;
use crate::whom::Whom;
use waywarden_model::{Distance, Figures, Kind, Rule, SourceId, Violation};

/// The jump from the last valid record to the one that its followers made believable (A3b): at
/// least as far as no bad fix in a street goes, and from a place shown by more than a first fix.
pub(crate) fn between(
    (from, shown): (&Anchor, u32),
    to: &Anchor,
    source: &SourceId,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let rule = profile.tampering.as_ref()?;
    let distance = raw(from.position, to.position);
    if distance < Distance::from_metres(rule.jump_m) || shown < rule.jump_fixes {
        return None;
    }
    let whom = Whom::of(served, from.driver.as_ref(), profile);
    let times = (from.time, to.time);
    Some(Violation {
        rule: Some(Rule::Jump),
        distance: Some(distance),
        figures: Figures {
            at: Some((to.position.lat(), to.position.lon())),
            ..Figures::default()
        },
        ..whom.violation(Kind::Tampering, source, times, false)
    })
}
