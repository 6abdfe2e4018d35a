//! What rows must not do to each other: overlap, or refer to what is not there.

use super::error::{At, Errors, Place, Problem};
use super::{Located, RegisterKind, Rows, Sets};
use crate::registry::Validity;
use std::collections::BTreeSet;

/// What a row is compared by: its key, what it says there, and when.
type View<'a> = (&'a str, &'a str, Validity);

/// Reports every contradiction between the rows of all registers; references only into those that
/// are `asked` after.
pub(super) fn check(s: &Sets, asked: impl Fn(RegisterKind) -> bool, errors: &mut Errors) {
    keys(s, errors);
    fittings(s, errors);
    plates(s, errors);
    references(s, asked, errors);
}

fn keys(s: &Sets, errors: &mut Errors) {
    let e = errors;
    unique(
        &s.vehicles,
        "id",
        |r| (r.id.as_str(), "", r.validity),
        repeated,
        e,
    );
    unique(
        &s.drivers,
        "licence",
        |r| (r.id.as_str(), "", r.validity),
        repeated,
        e,
    );
    unique(
        &s.cards,
        "card",
        |r| (r.id.as_str(), "", r.validity),
        repeated,
        e,
    );
    unique(
        &s.operators,
        "tax_code",
        |r| (r.id.as_str(), "", r.validity),
        repeated,
        e,
    );
    unique(
        &s.devices,
        "id",
        |r| (r.id.as_str(), "", r.validity),
        repeated,
        e,
    );
    unique(&s.routes, "id", |r| (&*r.id, "", r.validity), repeated, e);
    unique(&s.zones, "id", |r| (&*r.id, "", r.validity), repeated, e);
    unique(&s.signs, "id", |r| (&*r.id, "", r.validity), repeated, e);
}

fn repeated(_: &str, _: &str, other: Place) -> Option<Problem> {
    Some(Problem::Duplicate(other))
}

fn fittings(s: &Sets, errors: &mut Errors) {
    unique(
        &s.fittings,
        "source",
        |r| (r.source.as_str(), r.vehicle.as_str(), r.validity),
        |a, b, other| {
            Some(if a == b {
                Problem::Duplicate(other)
            } else {
                Problem::SourceOverlap(other)
            })
        },
        errors,
    );
    let primary = s.fittings.rows.iter().filter(|r| r.row.primary);
    overlaps(
        primary,
        "vehicle",
        |r| (r.vehicle.as_str(), r.source.as_str(), r.validity),
        |a, b, other| (a != b).then_some(Problem::PrimaryOverlap(other)),
        errors,
    );
}

fn plates(s: &Sets, errors: &mut Errors) {
    unique(
        &s.vehicles,
        "plate",
        |r| (r.plate.as_str(), r.id.as_str(), r.validity),
        |a, b, other| (a != b).then_some(Problem::PlateTaken(other)),
        errors,
    );
}

fn unique<T>(
    rows: &Rows<T>,
    column: &str,
    view: impl for<'a> Fn(&'a T) -> View<'a>,
    clash: impl Fn(&str, &str, Place) -> Option<Problem>,
    errors: &mut Errors,
) {
    overlaps(rows.rows.iter(), column, view, clash, errors);
}

/// Gives `clash` each row whose dates overlap those of an earlier one with the same key.
fn overlaps<'r, T: 'r>(
    rows: impl Iterator<Item = &'r Located<T>>,
    column: &str,
    view: impl for<'a> Fn(&'a T) -> View<'a>,
    clash: impl Fn(&str, &str, Place) -> Option<Problem>,
    errors: &mut Errors,
) {
    let mut sorted: Vec<(View<'r>, &Option<At>)> = rows.map(|r| (view(&r.row), &r.at)).collect();
    sorted.sort_by(|(a, _), (b, _)| (a.0, a.2.from).cmp(&(b.0, b.2.from)));
    let mut longest: Option<(View<'r>, &Option<At>)> = None;
    for (row, at) in sorted {
        let before = longest.filter(|(b, _)| b.0 == row.0);
        if let Some((other, other_at)) = before {
            if other.2.overlaps(&row.2) {
                report(column, [(row, at), (other, other_at)], &clash, errors);
            }
            if other.2.until >= row.2.until {
                continue;
            }
        }
        longest = Some((row, at));
    }
}

/// At the later of the two lines, naming the earlier one.
fn report(
    column: &str,
    mut pair: [(View<'_>, &Option<At>); 2],
    clash: &impl Fn(&str, &str, Place) -> Option<Problem>,
    errors: &mut Errors,
) {
    let line = |at: &Option<At>| at.as_ref().map(|at| at.line);
    pair.sort_by_key(|(_, at)| line(at));
    let [(earlier, earlier_at), (later, later_at)] = pair;
    let place = line(earlier_at).map_or(Place::OnFile, Place::Line);
    if let (Some(what), Some(at)) = (clash(earlier.1, later.1, place), later_at) {
        errors.push(at, column, what);
    }
}

fn references(s: &Sets, asked: impl Fn(RegisterKind) -> bool, errors: &mut Errors) {
    let vehicles = Target::of(
        RegisterKind::Vehicles,
        asked(RegisterKind::Vehicles),
        &s.vehicles,
        |r| r.id.as_str(),
    );
    let drivers = Target::of(
        RegisterKind::Drivers,
        asked(RegisterKind::Drivers),
        &s.drivers,
        |r| r.id.as_str(),
    );
    let operators = Target::of(
        RegisterKind::Operators,
        asked(RegisterKind::Operators),
        &s.operators,
        |r| r.id.as_str(),
    );
    let routes = Target::of(
        RegisterKind::Routes,
        asked(RegisterKind::Routes),
        &s.routes,
        |r| &*r.id,
    );
    let from = RegisterKind::Vehicles;
    operators.wanted(
        from,
        &s.vehicles,
        "operator",
        |r| r.operator.as_ref().map(|o| o.as_str()),
        errors,
    );
    routes.wanted(from, &s.vehicles, "route", |r| r.route.as_deref(), errors);
    operators.wanted(
        RegisterKind::Drivers,
        &s.drivers,
        "operator",
        |r| r.operator.as_ref().map(|o| o.as_str()),
        errors,
    );
    drivers.wanted(
        RegisterKind::Cards,
        &s.cards,
        "driver",
        |r| Some(r.driver.as_str()),
        errors,
    );
    vehicles.wanted(
        RegisterKind::Fittings,
        &s.fittings,
        "vehicle",
        |r| Some(r.vehicle.as_str()),
        errors,
    );
}

/// A register that others refer to.
struct Target<'a> {
    kind: RegisterKind,
    asked: bool,
    keys: BTreeSet<&'a str>,
    replaced: Option<&'a At>,
}

impl<'a> Target<'a> {
    fn of<T>(
        kind: RegisterKind,
        asked: bool,
        rows: &'a Rows<T>,
        key: impl Fn(&'a T) -> &'a str,
    ) -> Self {
        let whole = rows.rows.iter().map(|r| key(&r.row));
        Self {
            kind,
            asked,
            keys: whole
                .chain(rows.broken.iter().map(String::as_str))
                .collect(),
            replaced: rows.replaced.as_ref(),
        }
    }

    /// Reports references that lead nowhere: by line in a file that is imported, and in all
    /// where rows on file lose what they refer to.
    fn wanted<T>(
        &self,
        register: RegisterKind,
        rows: &Rows<T>,
        column: &str,
        reference: impl for<'r> Fn(&'r T) -> Option<&'r str>,
        errors: &mut Errors,
    ) {
        let mut count = 0;
        for row in rows.rows.iter().filter(|_| self.asked) {
            let Some(id) = reference(&row.row) else {
                continue;
            };
            if self.keys.contains(id) {
                continue;
            }
            match &row.at {
                Some(at) => errors.push(at, column, Problem::UnknownReference(self.kind)),
                None => count += 1,
            }
        }
        if let (Some(file), 1..) = (self.replaced, count) {
            errors.push(file, "", Problem::StillReferred { register, count });
        }
    }
}
