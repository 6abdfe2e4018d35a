//! GeoJSON (RFC 7946) to features with named values, each with the line on which it stands.

use super::Source;
use super::error::{At, Errors, Problem};
use super::fields::{Fields, Value};
use crate::record::Position;
use crate::time::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Positions of one geometry; a province's outline has a few thousand.
const MOST_POSITIONS: usize = 50_000;

/// The properties of an object, not yet read.
pub(super) type Members<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    features: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawFeature<'a> {
    #[serde(borrow)]
    geometry: Option<Geometry<'a>>,
    #[serde(borrow)]
    properties: Option<Members<'a>>,
}

#[derive(Deserialize)]
struct Geometry<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    coordinates: &'a RawValue,
}

/// One feature: its geometry's kind and coordinates, and its properties.
pub(super) struct Feature<'a> {
    pub(super) at: At,
    /// `features[3]`
    pub(super) path: String,
    pub(super) kind: String,
    coordinates: &'a RawValue,
    pub(super) properties: Members<'a>,
    lines: &'a Lines<'a>,
    pub(super) zone: &'a TimeZone,
}

/// Gives each feature of `source` to `take`.
pub(super) fn each_feature(
    source: &Source<'_>,
    zone: &TimeZone,
    errors: &mut Errors,
    mut take: impl FnMut(&Feature<'_>, &mut Errors),
) {
    let lines = Lines::new(source.text);
    let collection: Collection<'_> = match serde_json::from_str(source.text) {
        Ok(c) => c,
        Err(e) => {
            let line = u32::try_from(e.line()).unwrap_or(0);
            let column = format!("column {}", e.column());
            errors.push(&source.at(line), column, Problem::Syntax(reason(&e)));
            return;
        }
    };
    if collection.kind != "FeatureCollection" {
        errors.push(&source.at(1), "type", Problem::NotACollection);
        return;
    }
    for (n, raw) in collection.features.into_iter().enumerate() {
        let at = source.at(lines.of(raw));
        let path = format!("features[{n}]");
        match serde_json::from_str::<RawFeature<'_>>(raw.get()) {
            Err(e) => errors.push(&at, path, Problem::Syntax(reason(&e))),
            Ok(RawFeature { geometry: None, .. }) => {
                errors.push(&at, format!("{path}.geometry"), Problem::Missing);
            }
            Ok(RawFeature {
                geometry: Some(geometry),
                properties,
            }) => {
                let feature = Feature {
                    at,
                    path,
                    kind: geometry.kind,
                    coordinates: geometry.coordinates,
                    properties: properties.unwrap_or_default(),
                    lines: &lines,
                    zone,
                };
                take(&feature, errors);
            }
        }
    }
}

/// The library's words without its own 'at line 1 column 2', which counts from the feature.
fn reason(e: &serde_json::Error) -> String {
    let text = e.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl Feature<'_> {
    /// The properties as values; those that are not `known` are reported. `skip` is read apart.
    pub(super) fn fields<'e>(
        &'e self,
        known: &'static [&'static str],
        skip: &str,
        errors: &'e mut Errors,
    ) -> Fields<'e> {
        let path = format!("{}.properties", self.path);
        self.members(&self.properties, path, known, skip, errors)
    }

    fn members<'e>(
        &'e self,
        members: &Members<'_>,
        path: String,
        known: &'static [&'static str],
        skip: &str,
        errors: &'e mut Errors,
    ) -> Fields<'e> {
        let mut fields = Fields {
            at: self.at.clone(),
            path,
            values: Vec::new(),
            zone: self.zone,
            errors,
            broken: false,
        };
        let mut wrong = Vec::new();
        for (name, raw) in members.iter().filter(|(name, _)| *name != skip) {
            let Some(name) = known.iter().find(|k| *k == name) else {
                wrong.push((name.as_str(), Problem::UnknownColumn(known.join(", "))));
                continue;
            };
            match scalar(raw) {
                Some(text) => fields.values.push(Value {
                    name,
                    text,
                    line: self.lines.of(raw),
                }),
                None => wrong.push((name, Problem::NotScalar)),
            }
        }
        for (name, what) in wrong {
            fields.wrong(name, what);
        }
        fields
    }

    /// The objects of the property `name`, an array; `each` reads one.
    pub(super) fn objects(
        &self,
        name: &str,
        known: &'static [&'static str],
        errors: &mut Errors,
        mut each: impl FnMut(&mut Fields<'_>),
    ) {
        let Some(raw) = self.properties.get(name).filter(|r| r.get() != "null") else {
            return;
        };
        let path = format!("{}.properties.{name}", self.path);
        match serde_json::from_str::<Vec<Members<'_>>>(raw.get()) {
            Err(e) => {
                let at = self.at_line(self.lines.of(raw));
                errors.push(&at, path, Problem::Syntax(reason(&e)));
            }
            Ok(objects) => {
                for (n, members) in objects.iter().enumerate() {
                    let path = format!("{path}[{n}]");
                    each(&mut self.members(members, path, known, "", errors));
                }
            }
        }
    }

    pub(super) fn point(&self, errors: &mut Errors) -> Option<Position> {
        let at = self.coordinates_of::<Vec<f64>>(errors)?;
        self.positions(&[at], errors)?.pop()
    }

    pub(super) fn line(&self, errors: &mut Errors) -> Option<Vec<Position>> {
        let line = self.coordinates_of::<Vec<Vec<f64>>>(errors)?;
        let line = self.positions(&line, errors)?;
        if line.windows(2).all(|w| w[0] == w[1]) {
            self.wrong(Problem::ShortLine, errors);
            return None;
        }
        Some(line)
    }

    /// Polygon or MultiPolygon as polygons of rings; the rings are not checked yet.
    pub(super) fn polygons(&self, errors: &mut Errors) -> Option<Vec<Vec<Vec<Position>>>> {
        let raw: Vec<Vec<Vec<Vec<f64>>>> = match self.kind.as_str() {
            "Polygon" => vec![self.coordinates_of(errors)?],
            _ => self.coordinates_of(errors)?,
        };
        let mut polygons = Vec::with_capacity(raw.len());
        for polygon in raw {
            let rings: Option<Vec<_>> = polygon
                .iter()
                .map(|ring| self.positions(ring, errors))
                .collect();
            polygons.push(rings?);
        }
        Some(polygons)
    }

    pub(super) fn wrong(&self, what: Problem, errors: &mut Errors) {
        let at = self.at_line(self.lines.of(self.coordinates));
        errors.push(&at, format!("{}.geometry", self.path), what);
    }

    fn coordinates_of<T: for<'d> Deserialize<'d>>(&self, errors: &mut Errors) -> Option<T> {
        let parsed = serde_json::from_str(self.coordinates.get());
        if parsed.is_err() {
            self.wrong(Problem::BadPosition, errors);
        }
        parsed.ok()
    }

    fn positions(&self, raw: &[Vec<f64>], errors: &mut Errors) -> Option<Vec<Position>> {
        if raw.len() > MOST_POSITIONS {
            self.wrong(Problem::TooManyPositions(MOST_POSITIONS), errors);
            return None;
        }
        // A third number is a height, which nothing here needs.
        let positions: Option<Vec<Position>> = raw
            .iter()
            .map(|p| match p.as_slice() {
                [lon, lat] | [lon, lat, _] => Position::new(*lat, *lon),
                _ => None,
            })
            .collect();
        if positions.is_none() {
            self.wrong(Problem::BadPosition, errors);
        }
        positions
    }

    fn at_line(&self, line: u32) -> At {
        At {
            file: self.at.file.clone(),
            line,
        }
    }
}

/// Text of a string, number or flag; empty for null; None for an array or object.
fn scalar(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(text)
            .ok()
            .map(|s| s.trim().to_owned()),
        Some(b'[' | b'{') | None => None,
        Some(b'n') => Some(String::new()),
        Some(_) => Some(text.to_owned()),
    }
}

/// Line numbers of parts of a text.
pub(super) struct Lines<'a> {
    text: &'a str,
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self {
            text,
            ends: ends.map(|(i, _)| i).collect(),
        }
    }

    /// Line of a value that borrows from the text.
    fn of(&self, raw: &RawValue) -> u32 {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.ends.partition_point(|end| *end < offset);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}
