//! The subject stage: dirty subjects are judged again from their periods, and the difference filed.

use super::rows::all;
use super::violations;
use super::writer::Session;
use super::{alerts, states};
use crate::batch::{Judged, Result, SubjectJudge};
use crate::evidence::Verdicts;
use crate::preview::Overlay;
use crate::rows::{self, PERIOD, corrupt};
use crate::stage::{Seen, Stage, Window, days, fallen, over, settled};
use rusqlite::Connection;
use waywarden_model::hash::partition_of_subject;
use waywarden_model::{DriverId, Period, Subject, TimeZone, Timestamp};

/// Gives how many subjects were judged.
pub(super) fn judge(
    session: &mut Session<'_>,
    stage: &Stage,
    judge: &dyn SubjectJudge,
) -> Result<usize> {
    states::guard_epoch(session.conn, &stage.claim)?;
    let dirty = take(session.conn, stage)?;
    for (subject, from) in &dirty {
        session
            .conn
            .prepare_cached("DELETE FROM dirty WHERE subject = ?1")?
            .execute([subject.key()])?;
        let seen = judge_one(session.conn, subject, *from, judge, &Overlay::default())?;
        file(session, subject, &seen.judged, stage)?;
        let ahead = seen.ahead(subject, judge, stage.now);
        let over = over(alerts::open_ahead(session.conn, subject)?, &ahead);
        alerts::end(session.conn, &over, stage.now)?;
        alerts::file(session.conn, None, &ahead)?;
    }
    Ok(dirty.len())
}

/// The subjects that have waited longest, with the earliest instant of their marks.
fn take(conn: &Connection, stage: &Stage) -> Result<Vec<(Subject, Timestamp)>> {
    let mut stmt = conn.prepare_cached(
        "SELECT subject, min(\"from\") FROM dirty GROUP BY subject ORDER BY min(seq)",
    )?;
    let mut rows = stmt.query([])?;
    let mut taken = Vec::new();
    while taken.len() < stage.limit
        && let Some(row) = rows.next()?
    {
        let key = row.get_ref(0)?.as_str().unwrap_or_default();
        let subject = Subject::from_key(key).ok_or_else(|| corrupt("subject"))?;
        if partition_of_subject(&subject, stage.partitions) == stage.claim.partition {
            taken.push((subject, Timestamp::from_millis(row.get(1)?)));
        }
    }
    Ok(taken)
}

/// Judges a subject by its periods on file, and those that lie over them.
pub(super) fn judge_one(
    conn: &Connection,
    subject: &Subject,
    from: Timestamp,
    judge: &dyn SubjectJudge,
    over: &Overlay,
) -> Result<Seen> {
    let mut window = Window::new(judge.window_start(from).min(from));
    loop {
        let on_file = periods(conn, subject, window.start)?;
        let periods = over.laid(subject, window.start, on_file);
        let judged = judge.judge(subject, window.start, &periods);
        if !window.widens(&judged) {
            return Ok(Seen {
                window: window.start,
                periods,
                judged,
            });
        }
    }
}

fn periods(conn: &Connection, subject: &Subject, window: Timestamp) -> Result<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = ?1 AND p.start >= ?2 ORDER BY p.start, s.name"
    );
    let key = (subject.key(), window.millis());
    all(conn, &sql, key, |r| rows::period(r))
}

/// The difference between what is judged and what is on file from `settled_from` on.
fn file(
    session: &mut Session<'_>,
    subject: &Subject,
    judged: &Judged,
    stage: &Stage,
) -> Result<()> {
    let stated = settled(subject, judged)?;
    for v in &stated {
        violations::upsert(session, v, Verdicts::Shown, stage.now)?;
    }
    let standing = violations::standing(session.conn, subject, judged.settled_from)?;
    for (id, successor) in fallen(&stated, &standing) {
        violations::withdraw(session.conn, id, successor, stage.now)?;
    }
    if let Subject::Driver(driver) = subject {
        file_days(session.conn, driver, judged, &stage.zone)?;
    }
    Ok(())
}

fn file_days(conn: &Connection, driver: &DriverId, judged: &Judged, zone: &TimeZone) -> Result<()> {
    let (first, days) = days(driver, judged, zone);
    conn.prepare_cached("DELETE FROM driver_days WHERE driver = ?1 AND day >= ?2")?
        .execute((driver.as_str(), first.0))?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO driver_days (driver, day, driving_ms, distance, periods)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for d in days {
        insert.execute((
            d.driver.as_str(),
            d.day.0,
            d.driving_ms,
            d.distance.decimetres(),
            d.periods,
        ))?;
    }
    Ok(())
}
