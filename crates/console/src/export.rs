//! Exports for the command line: positions and violations as CSV or JSON Lines, to any writer,
//! read by key in short transactions, so that an export of a year holds no reader open.

use crate::cursor::MAX_HELD;
use crate::fleet::driver;
use crate::transmission::{Narrowed, of_day};
use crate::view::summary::{self, BadgeThreshold, SummaryView};
use crate::view::transmission::{self, TransmissionView};
use crate::view::violation::{COLUMNS, ViolationView};
use crate::view::{Format, csv_line, json_line, text_cell};
use serde::Serialize;
use std::io::Write;
use waywarden_model::registry::Registry;
use waywarden_model::{Course, DriverSaid, LocalDay, Plate, SourceId, Speed, TimeZone, Timestamp};
use waywarden_store::read::{FiledPosition, PositionPage, ViolationFilter, ViolationKey};
use waywarden_store::{ReadStore, StoreError, SummaryFilter};

const PAGE: usize = 5000;
const SUMS: usize = 500;
// Sources are listed in pages of their own.
const SOURCES: usize = MAX_HELD * 5;

/// Columns of positions, in order.
pub const POSITION_COLUMNS: [&str; 11] = [
    "device",
    "vehicle",
    "driver_id",
    "time",
    "received",
    "lat",
    "lon",
    "speed_kmh",
    "course_deg",
    "valid",
    "reason",
];

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// Which positions.
#[derive(Clone, PartialEq, Debug)]
pub struct PositionRange {
    /// First instant.
    pub from: Timestamp,
    /// Behind the last instant.
    pub to: Timestamp,
    /// Plate, vehicle id or device.
    pub vehicle: Option<String>,
}

/// Times in UTC with milliseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct PositionRow {
    device: String,
    vehicle: Option<String>,
    driver_id: Option<String>,
    time: String,
    received: String,
    lat: f64,
    lon: f64,
    speed_kmh: Option<f64>,
    course_deg: Option<f64>,
    valid: bool,
    reason: Option<&'static str>,
}

/// Writes positions by device and time; gives how many. The driver is what the records say,
/// carried within the range over records that do not say.
///
/// # Errors
/// When the store cannot be read or `out` cannot be written.
pub async fn positions(
    store: &dyn ReadStore,
    registry: &Registry,
    range: &PositionRange,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    if format == Format::Csv {
        out.write_all(&csv_line(POSITION_COLUMNS))?;
    }
    let mut written = 0;
    let mut after: Option<SourceId> = None;
    loop {
        let last = after.as_ref().map(SourceId::as_str);
        let sources = store.sources(last, SOURCES).await?;
        for source in &sources {
            if serves(registry, source, range) {
                written += of_source(store, registry, source, range, format, out).await?;
            }
        }
        match sources.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    out.flush()?;
    Ok(written)
}

/// Whether any record of the source can belong to the vehicle asked for.
pub fn serves(registry: &Registry, source: &SourceId, range: &PositionRange) -> bool {
    let Some(wanted) = &range.vehicle else {
        return true;
    };
    let plate = Plate::new(wanted);
    let r = registry.registers();
    source.as_str() == wanted
        || r.fittings.iter().any(|f| {
            f.source == *source
                && r.vehicles.iter().any(|v| {
                    v.id == f.vehicle && (v.id.as_str() == wanted.as_str() || v.plate == plate)
                })
        })
}

async fn of_source(
    store: &dyn ReadStore,
    registry: &Registry,
    source: &SourceId,
    range: &PositionRange,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    let mut page = PositionPage {
        source: source.clone(),
        from: range.from,
        to: range.to,
        after: None,
        limit: PAGE,
    };
    let mut written = 0;
    let mut said = DriverSaid::NotSaid;
    loop {
        let rows = store.positions(&page).await?;
        let mut piece = Vec::new();
        for p in &rows {
            if p.record.driver != DriverSaid::NotSaid {
                said = p.record.driver.clone();
            }
            if let Some(row) = row(registry, range, p, &said) {
                piece.extend(row.line(format));
                written += 1;
            }
        }
        out.write_all(&piece)?;
        match rows.last() {
            Some(last) if rows.len() == PAGE => page.after = Some((last.record.time, last.hash)),
            _ => return Ok(written),
        }
    }
}

/// None for a record without a position, and for one of another vehicle.
fn row(
    registry: &Registry,
    range: &PositionRange,
    p: &FiledPosition,
    said: &DriverSaid,
) -> Option<PositionRow> {
    let place = p.record.position?;
    let served = registry.assignment(&p.source, p.record.time).value;
    if let Some(wanted) = &range.vehicle {
        let plate = Plate::new(wanted);
        let fits = served
            .as_ref()
            .is_some_and(|a| a.vehicle.as_str() == wanted.as_str() || a.plate == plate);
        if !fits && p.source.as_str() != wanted {
            return None;
        }
    }
    Some(PositionRow {
        device: p.source.to_string(),
        vehicle: served.map(|a| a.plate.to_string()),
        driver_id: driver(registry, said, p.record.time),
        time: millis(p.record.time),
        received: millis(p.received),
        lat: place.lat(),
        lon: place.lon(),
        speed_kmh: p.record.speed.map(Speed::kmh),
        course_deg: p.record.course.map(Course::degrees),
        valid: p.verdict.reason().is_none(),
        reason: p.verdict.reason(),
    })
}

/// RFC 3339 with three digits, also on a whole second.
fn millis(t: Timestamp) -> String {
    let text = t.to_string();
    match text.strip_suffix('Z') {
        Some(head) if !head.contains('.') => format!("{head}.000Z"),
        _ => text,
    }
}

impl PositionRow {
    fn line(&self, format: Format) -> Vec<u8> {
        if format == Format::JsonLines {
            return json_line(self);
        }
        let number = |v: Option<f64>| v.map(|v| v.to_string()).unwrap_or_default();
        csv_line([
            text_cell(&self.device),
            self.vehicle.as_deref().map(text_cell).unwrap_or_default(),
            self.driver_id.as_deref().map(text_cell).unwrap_or_default(),
            self.time.clone(),
            self.received.clone(),
            self.lat.to_string(),
            self.lon.to_string(),
            number(self.speed_kmh),
            number(self.course_deg),
            self.valid.to_string(),
            self.reason.unwrap_or_default().to_owned(),
        ])
    }
}

/// Writes sums over days, in the order of ids; gives how many.
///
/// # Errors
/// When the store cannot be read or `out` cannot be written.
pub async fn summaries(
    store: &dyn ReadStore,
    filter: &SummaryFilter,
    badge: Option<BadgeThreshold>,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    if format == Format::Csv {
        out.write_all(&csv_line(summary::columns()))?;
    }
    let month = summary::is_month(filter.from, filter.to);
    let (mut written, mut after) = (0, None::<String>);
    loop {
        let sums = store.summaries(filter, after.as_deref(), SUMS).await?;
        for sum in &sums {
            let view = SummaryView::new(sum, filter.of, badge, month);
            out.write_all(&match format {
                Format::Csv => view.csv(),
                Format::JsonLines => json_line(&view),
            })?;
            written += 1;
        }
        match sums.into_iter().next_back() {
            Some(last) => after = Some(last.key),
            None => break,
        }
    }
    out.flush()?;
    Ok(written)
}

/// Writes vehicles' days on which their transmission was improper, by day and vehicle; gives how
/// many. `days` are the first and the last.
///
/// # Errors
/// When the store cannot be read or `out` cannot be written.
pub async fn transmission(
    store: &dyn ReadStore,
    registry: &Registry,
    (zone, days): (&TimeZone, (LocalDay, LocalDay)),
    (narrowed, now): (&Narrowed, Timestamp),
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    if format == Format::Csv {
        out.write_all(&csv_line(transmission::COLUMNS))?;
    }
    let mut written = 0;
    for day in (days.0.0..=days.1.0).map(LocalDay) {
        let found = of_day(store, registry.registers(), (zone, day), now, narrowed).await?;
        for improper in &found {
            let view = TransmissionView::from(improper);
            out.write_all(&match format {
                Format::Csv => view.csv(),
                Format::JsonLines => json_line(&view),
            })?;
            written += 1;
        }
    }
    out.flush()?;
    Ok(written)
}

/// Writes violations, newest start first; gives how many.
///
/// # Errors
/// When the store cannot be read or `out` cannot be written.
pub async fn violations(
    store: &dyn ReadStore,
    filter: &ViolationFilter,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    if format == Format::Csv {
        out.write_all(&csv_line(COLUMNS))?;
    }
    let mut written = 0;
    let mut after = None;
    loop {
        let rows = store.violations(filter, after, PAGE).await?;
        for row in &rows {
            let view = ViolationView::from(row);
            out.write_all(&match format {
                Format::Csv => view.csv(),
                Format::JsonLines => json_line(&view),
            })?;
            written += 1;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => {
                after = Some(ViolationKey {
                    start: last.violation.start,
                    id: last.id,
                });
            }
            _ => break,
        }
    }
    out.flush()?;
    Ok(written)
}
