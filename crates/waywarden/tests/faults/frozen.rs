//! A worker that is frozen inside the COPY of a batch, and woken when another has long gone on.

use super::scene::{Scene, until};
use rustix::process::Signal;

/// Owners whose COPY waits, and who they are.
const INSIDE_COPY: &str = "SELECT p.\"partition\", p.epoch, p.position, a.pid, a.backend_xid,
        a.client_port
    FROM partitions p JOIN pg_stat_activity a ON a.pid = p.pid AND a.backend_start = p.started
    WHERE a.state = 'active' AND a.query LIKE 'COPY positions%' AND a.backend_xid IS NOT NULL
        AND a.wait_event_type = ";

/// A frozen worker, and what it was at.
struct Frozen {
    worker: usize,
    partition: String,
    epoch: String,
    position: String,
    transaction: String,
}

/// The COPY is held at its beginning by a lock until its worker is frozen: then it waits for rows
/// that do not come, in a transaction that has the partition's row. None where another worker had
/// claimed the partition in this very moment.
fn freeze(scene: &mut Scene) -> Option<Frozen> {
    let (lock, look) = (scene.session(), scene.session());
    lock.ask("BEGIN; LOCK TABLE ONLY positions IN SHARE MODE")
        .unwrap();
    let mut found = None;
    until("a worker is inside a COPY", 30, || {
        let waiting = look.ask(&format!("{INSIDE_COPY}'Lock' LIMIT 1")).unwrap();
        found = waiting.into_iter().next();
        found.is_some()
    });
    let [partition, epoch, position, pid, transaction, port] = found?.try_into().unwrap();
    let mut stores = scene.place.from_workers.stores.iter();
    let port = port.parse().unwrap();
    let worker = stores.position(|wire| wire.reaches_from(port))?;
    scene.place.workers[worker].signal(Signal::STOP);
    lock.ask("COMMIT").unwrap();
    let outcome = format!("SELECT pg_xact_status('{transaction}'::xid8)");
    let mut waits = false;
    until("its COPY waits for rows", 30, || {
        let waiting = look.ask(&format!("{INSIDE_COPY}'Client' AND a.pid = {pid}"));
        waits = waiting.unwrap().len() == 1;
        waits || look.ask(&outcome).unwrap() != [["in progress"]]
    });
    if !waits {
        scene.place.workers[worker].signal(Signal::CONT);
        return None;
    }
    Some(Frozen {
        worker,
        partition,
        epoch,
        position,
        transaction,
    })
}

pub fn inside_copy(scene: &mut Scene) {
    scene.each_partition_is_worked_once();
    let mut frozen = None;
    until("a worker is frozen inside its COPY", 60, || {
        frozen = freeze(scene);
        frozen.is_some()
    });
    let f = frozen.unwrap();
    let look = scene.session();
    let stands = format!("FROM partitions WHERE \"partition\" = {} AND", f.partition);
    let gone_on = format!(
        "SELECT count(*) {stands} epoch > {} AND position > {}",
        f.epoch, f.position
    );
    until("its successor goes on", 90, || look.number(&gone_on) == 1);
    let outcome = format!("SELECT pg_xact_status('{}'::xid8)", f.transaction);
    let before = look.number(&format!("SELECT position {stands} true"));
    assert_eq!(look.ask(&outcome).unwrap(), [["aborted"]]);

    scene.place.workers[f.worker].signal(Signal::CONT);
    // It has given up what it believed to own, if each partition is worked once.
    scene.each_partition_is_worked_once();
    let undone = look.ask(&outcome).unwrap();
    assert_eq!(undone, [["aborted"]], "what it began is undone");
    let kept = format!(
        "SELECT count(*) {stands} epoch > {} AND position >= {before}",
        f.epoch
    );
    assert_eq!(look.number(&kept), 1, "the successor's work stands");
}
