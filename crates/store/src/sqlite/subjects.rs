//! The subject stage: dirty subjects are judged again from their periods, and the difference filed.

use super::rows::all;
use super::states;
use super::violations;
use super::writer::Session;
use crate::batch::{Judged, Result, SubjectJudge};
use crate::episodes::{counts_driving, successor};
use crate::rows::{self, PERIOD, corrupt};
use crate::stage::{Stage, Window, days, settled};
use rusqlite::Connection;
use std::collections::BTreeSet;
use waywarden_model::hash::partition_of_subject;
use waywarden_model::{DriverId, Period, Subject, TimeZone, Timestamp, ViolationId};

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
        let judged = judge_one(session.conn, subject, *from, judge)?;
        file(session, subject, &judged, stage)?;
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

fn judge_one(
    conn: &Connection,
    subject: &Subject,
    from: Timestamp,
    judge: &dyn SubjectJudge,
) -> Result<Judged> {
    let mut window = Window::new(judge.window_start(from).min(from));
    loop {
        let judged = judge.judge(
            subject,
            window.start,
            &periods(conn, subject, window.start)?,
        );
        if !window.widens(&judged) {
            return Ok(judged);
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
    let mut ids: BTreeSet<ViolationId> = BTreeSet::new();
    for v in &stated {
        ids.insert(v.id());
        violations::upsert(session, v, stage.now)?;
    }
    for old in violations::standing(session.conn, subject, judged.settled_from)? {
        if counts_driving(old.kind) && !ids.contains(&old.file.id) {
            let successor = successor(&old, &stated);
            violations::withdraw(session.conn, old.file.id, successor, stage.now)?;
        }
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
