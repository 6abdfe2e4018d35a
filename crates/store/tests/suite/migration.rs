//! A store of the version before, with rows in every table, brought to this one: nothing of them is
//! lost, everything reads as it did, and bringing it there once more changes nothing.
//!
//! The rows are those that the store makes itself, put into tables that the former migrations make:
//! so a migration that is new is tested by being there.

use crate::fixture::{
    Database, SOURCE, Store, at, batch, connect, filed, options, overspeed, records,
};
use futures::{SinkExt, TryStreamExt};
use refinery::{Migration, Runner};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::SimpleQueryMessage;
use waywarden_model::registry::{Operator, Permit, Registers, Validity};
use waywarden_model::{
    Alert, AlertKind, DayRow, Distance, DriverDay, LocalDay, Period, SourceId, Subject, Timestamp,
};
use waywarden_store::read::Decision;
use waywarden_store::timescale::Extension;
use waywarden_store::{
    AsideReason, AsideRecord, Batch, DayState, Due, Gap, Judged, Options, PoisonMessage,
    ReadOfData, Redecoded, RegisterChange, Role, SavedState, SqliteStore, Stretch, SubjectJudge,
    TimescaleOptions, TimescaleStore, Token, timescale_schema_of,
};

const DAY: LocalDay = LocalDay(20_522);

/// Rows of every table, in the order of their content, by table.
type Rows = BTreeMap<String, Vec<String>>;
/// The columns of every table.
type Columns = BTreeMap<String, Vec<String>>;

/// All migrations of a backend but the newest, whose number comes with them.
fn before(backend: &str) -> (Runner, i32) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{backend}/schema"));
    let mut all: Vec<Migration> = refinery::load_sql_migrations(folder).unwrap();
    let newest = all.pop().unwrap().version();
    assert!(!all.is_empty(), "there is a version before");
    (Runner::new(&all), newest)
}

fn period(start: i64, end: i64) -> Period {
    Period {
        source: SOURCE.into(),
        start: at(start),
        end: at(end),
        open: false,
        vehicle: Some("v1".into()),
        plate: None,
        driver: Some("L1".into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::from_metres(5000),
        registry: 1,
    }
}

/// One day for each driver, and nothing against him.
struct Days;

impl SubjectJudge for Days {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        from
    }

    fn judge(&self, subject: &Subject, _window: Timestamp, periods: &[Period]) -> Judged {
        let Subject::Driver(driver) = subject else {
            return Judged::default();
        };
        Judged {
            driver_days: vec![DriverDay {
                driver: driver.clone(),
                day: DAY,
                driving_ms: periods.iter().map(Period::duration_ms).sum(),
                distance: Distance::from_metres(5000),
                periods: 1,
            }],
            settled_from: at(0),
            ..Judged::default()
        }
    }
}

fn everything() -> Batch {
    let aside = filed(500, 50);
    Batch {
        aside: vec![AsideRecord {
            source: SOURCE.into(),
            record: aside.record,
            received: at(-100),
            hash: aside.hash,
            reason: AsideReason::Future,
            frame: None,
        }],
        poison: vec![PoisonMessage {
            offset: 3,
            why: "version 9".into(),
            payload: vec![9, 9],
        }],
        periods: vec![period(0, 30)],
        violations: vec![overspeed(20, false)],
        day_rows: vec![DayRow {
            records: 3,
            ..DayRow::new(SOURCE.into(), DAY)
        }],
        day_states: vec![DayState {
            source: SOURCE.into(),
            day: DAY,
            month: true,
            engine: 1,
            bytes: vec![4, 5],
        }],
        states: vec![SavedState {
            source: SOURCE.into(),
            position: 4,
            engine: 1,
            bytes: vec![1, 2, 3],
        }],
        checkpoint: Some(4),
        ticks: vec![("east".into(), at(0), at(900))],
        marks: vec![(SOURCE.into(), at(5))],
        alerts: vec![Alert {
            kind: AlertKind::Silence,
            ahead: None,
            subject: Subject::Source(SOURCE.into()),
            vehicle: None,
            plate: None,
            driver: None,
            operator: None,
            start: at(0),
            raised: at(1800),
            ended: None,
            amount_ms: None,
            limit_ms: Some(1_800_000),
        }],
        registry: 1,
        tail: Some(u64::MAX),
        ..batch(vec![records(
            vec![filed(0, 80), filed(10, 80), filed(20, 80)],
            vec![filed(5, 80)],
        )])
    }
}

/// A frame decoded again, which does not hold its last record any more.
async fn unsay_the_last(store: &dyn Store) {
    let all = store.framed(&Stretch::behind(SOURCE.into(), at(0))).await;
    let last = all.unwrap().into_iter().max_by_key(|r| r.time).unwrap();
    let redecoded = Redecoded {
        source: SOURCE.into(),
        frames: vec![last.frame],
        unsaid: vec![last],
        said: Vec::new(),
    };
    let asked = store.ask_redecoded(redecoded, 1, at(2500)).await;
    asked.unwrap();
}

async fn fill(store: &dyn Store) {
    let mut registers = Registers::default();
    registers.operators.push(Operator {
        id: "5700000001".into(),
        name: "Operator 01".into(),
        address: None,
        phone: None,
        licence: Permit::default(),
        validity: Validity::ALWAYS,
    });
    let change = RegisterChange {
        expected_head: 0,
        registers,
        author: "import".into(),
        note: String::new(),
        now: at(0),
        partitions: 1,
    };
    store.save_registers(change).await.unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    store.commit(&claim, 0, 4, everything()).await.unwrap();
    let judged = store.judge_subjects(&claim, 1, 9, at(2000), Arc::new(Days));
    assert_eq!(judged.await.unwrap(), 1);
    let more = Batch {
        periods: vec![period(100, 130)],
        gap: Some(Gap {
            log_before: Some("log-0".into()),
        }),
        registry: 1,
        ..batch(vec![])
    };
    store.commit(&claim, 4, 5, more).await.unwrap();
    unsay_the_last(store).await;
    let (decision, id) = (Decision::Confirmed, overspeed(20, false).id());
    let reviewed = store.review(id, 1, decision, "seen", "night desk", at(3000));
    reviewed.await.unwrap();
    let token = Token {
        name: "night desk".into(),
        role: Role::Operator,
        created: at(0),
        expires: at(100),
        withdrawn: None,
    };
    store.create_token([1; 32], token).await.unwrap();
    let read = ReadOfData {
        at: at(1),
        token: "night desk".into(),
        what: "track".into(),
        object: "v1".into(),
        purpose: "complaint".into(),
    };
    store.record_read(read).await.unwrap();
}

/// What a reader of the store sees of it.
async fn seen(store: &dyn Store) -> String {
    let source: SourceId = SOURCE.into();
    let id = overspeed(20, false).id();
    let any = Due {
        updated_before: Timestamp::MAX,
        created_before: Timestamp::MAX,
    };
    let evidence = store.evidence(id).await.unwrap();
    assert!(evidence.is_some(), "and its hash is that of its content");
    format!(
        "{:#?}",
        (
            (
                store.stored_records(&source, None, 9).await.unwrap(),
                store.latest(9).await.unwrap(),
                store.set_aside(at(0), at(1000)).await.unwrap(),
                store.periods_after(None, 9).await.unwrap(),
                store.violations_after(None, 9).await.unwrap(),
                store.history(id).await.unwrap(),
                evidence,
                store.day_rows_after(None, 9).await.unwrap(),
            ),
            (
                store.driver_days_after(None, 9).await.unwrap(),
                store.state_at(&source, DAY, 1).await.unwrap(),
                store.load_states(0).await.unwrap(),
                store.counters(0).await.unwrap(),
                store.due_marks(0, any, 9).await.unwrap(),
                store.registers(1).await.unwrap(),
                store.take_outbox(9).await.unwrap(),
                store.find_token([1; 32]).await.unwrap(),
                store.reads(9).await.unwrap(),
                store.status().await.unwrap(),
            ),
        )
    )
}

/// New rows get numbers of their own, behind those that were there.
async fn goes_on(store: &dyn Store) {
    let claim = store.claim(0, "x").await.unwrap();
    assert_eq!((claim.position, claim.registry), (5, 1));
    let mut other = records(vec![filed(40, 50)], vec![]);
    other.source = "another".into();
    let mut next = batch(vec![other]);
    next.violations = vec![overspeed(25, false)];
    let done = store.commit(&claim, 5, 6, next).await.unwrap();
    assert_eq!(done.filed, 1);
    assert_eq!(store.latest(9).await.unwrap().len(), 2);
}

/// Every table of the version before has a row, and has it still.
fn kept(former: &Rows, now: &Rows) {
    let empty: Vec<_> = former.iter().filter(|(_, rows)| rows.is_empty()).collect();
    assert!(empty.is_empty(), "nothing was filed in {empty:?}");
    assert_eq!(former, now);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_version_before_is_brought_to_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let (new, old) = (dir.path().join("new.db"), dir.path().join("old.db"));
    let store = SqliteStore::open(&new, Options::default()).unwrap();
    fill(&store).await;
    let expected = seen(&store).await;
    drop(store);
    let (runner, newest) = before("sqlite");
    let mut conn = rusqlite::Connection::open(&old).unwrap();
    runner.run(&mut conn).unwrap();
    let of_store = rusqlite::Connection::open(&new).unwrap();
    let id: i32 = of_store
        .pragma_query_value(None, "application_id", |r| r.get(0))
        .unwrap();
    conn.pragma_update(None, "application_id", id).unwrap();
    conn.pragma_update(None, "user_version", newest - 1)
        .unwrap();
    let columns = file_columns(&conn);
    conn.execute("ATTACH ?1 AS filled", [new.to_str().unwrap()])
        .unwrap();
    for (table, columns) in &columns {
        let columns = columns.join(",");
        let sql = format!(
            "DELETE FROM main.{table};
             INSERT INTO main.{table} ({columns}) SELECT {columns} FROM filled.{table}"
        );
        conn.execute_batch(&sql).unwrap();
    }
    // For what a later version may have to say of the file; nothing does yet.
    conn.execute("INSERT INTO meta VALUES ('some', 'word')", [])
        .unwrap();
    let former = file_rows(&conn, &columns);
    drop(conn);

    let open = || SqliteStore::open(&old, Options::default()).unwrap();
    let all = || {
        let conn = rusqlite::Connection::open(&old).unwrap();
        let columns = file_columns(&conn);
        (file_rows(&conn, &columns), columns)
    };
    let store = open();
    kept(
        &former,
        &file_rows(&rusqlite::Connection::open(&old).unwrap(), &columns),
    );
    assert_eq!(seen(&store).await, expected);
    drop(store);
    let once = all();
    let store = open();
    assert_eq!(all(), once);
    let version = waywarden_store::schema_of(&old).unwrap();
    assert_eq!(version, u32::try_from(newest).ok());
    goes_on(&store).await;
}

fn file_columns(conn: &rusqlite::Connection) -> Columns {
    let sql = "SELECT t.name, '\"' || c.name || '\"' FROM main.sqlite_schema t
               JOIN pragma_table_xinfo(t.name) c
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
                   AND t.name <> 'refinery_schema_history'";
    let mut statement = conn.prepare(sql).unwrap();
    let found = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)));
    grouped(found.unwrap().map(Result::unwrap))
}

fn file_rows(conn: &rusqlite::Connection, columns: &Columns) -> Rows {
    let of = |(table, columns): (&String, &Vec<String>)| {
        let quoted: Vec<_> = columns.iter().map(|c| format!("quote({c})")).collect();
        let sql = format!("SELECT {} FROM main.{table}", quoted.join("||','||"));
        let mut statement = conn.prepare(&sql).unwrap();
        let rows = statement.query_map([], |r| r.get(0)).unwrap();
        let mut rows: Vec<String> = rows.map(Result::unwrap).collect();
        rows.sort();
        (table.clone(), rows)
    };
    columns.iter().map(of).collect()
}

fn grouped(all: impl Iterator<Item = (String, String)>) -> Columns {
    let mut columns = Columns::new();
    for (table, column) in all {
        columns.entry(table).or_default().push(column);
    }
    columns
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_version_before_is_brought_to_this_one() {
    migrate_a_database(Extension::Made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_extension_is_brought_to_this_one_too() {
    migrate_a_database(Extension::Without).await;
}

async fn migrate_a_database(extension: Extension) {
    let (new, old) = (Database::new().await, Database::new().await);
    let with = || TimescaleOptions {
        extension,
        ..options()
    };
    let store = TimescaleStore::open(&new.server, with()).await.unwrap();
    fill(&store).await;
    let expected = seen(&store).await;
    drop(store);
    let (runner, newest) = before("timescale");
    let mut client = connect(&old.server).await;
    if extension == Extension::Made {
        let made = "CREATE EXTENSION timescaledb";
        client.batch_execute(made).await.unwrap();
    }
    runner.run_async(&mut client).await.unwrap();
    let columns = columns(&client).await;
    copy(&connect(&new.server).await, &client, &columns).await;
    let former = rows(&client, &columns).await;

    let schema = || async { timescale_schema_of(&old.server, &with()).await.unwrap() };
    assert_eq!(schema().await, u32::try_from(newest - 1).ok());
    let store = TimescaleStore::open(&old.server, with()).await.unwrap();
    kept(&former, &rows(&client, &columns).await);
    assert_eq!(seen(&store).await, expected);
    drop(store);
    let now = self::columns(&client).await;
    let once = rows(&client, &now).await;
    let store = TimescaleStore::open(&old.server, with()).await.unwrap();
    assert_eq!(self::columns(&client).await, now);
    assert_eq!(rows(&client, &now).await, once);
    assert_eq!(schema().await, u32::try_from(newest).ok());
    goes_on(&store).await;
}

async fn texts(client: &tokio_postgres::Client, sql: &str) -> Vec<Vec<String>> {
    let found = client.simple_query(sql).await.unwrap();
    let row = |m| match m {
        SimpleQueryMessage::Row(row) => {
            let cell = |n| row.get(n).unwrap_or_default().to_owned();
            Some((0..row.len()).map(cell).collect())
        }
        _ => None,
    };
    found.into_iter().filter_map(row).collect()
}

async fn columns(client: &tokio_postgres::Client) -> Columns {
    let sql = "SELECT table_name, quote_ident(column_name) FROM information_schema.columns
               WHERE table_schema = 'public' AND table_name <> 'refinery_schema_history'
               ORDER BY ordinal_position";
    let all = texts(client, sql).await.into_iter();
    grouped(all.map(|mut row| (row.remove(0), row.remove(0))))
}

async fn rows(client: &tokio_postgres::Client, columns: &Columns) -> Rows {
    let mut all = Rows::new();
    for (table, columns) in columns {
        let sql = format!(
            "SELECT ROW({})::text FROM {table} ORDER BY 1",
            columns.join(",")
        );
        let rows = texts(client, &sql).await;
        all.insert(table.clone(), rows.into_iter().flatten().collect());
    }
    all
}

/// As a dump that is restored: rows, and where sequences stand.
async fn copy(from: &tokio_postgres::Client, to: &tokio_postgres::Client, columns: &Columns) {
    for (table, columns) in columns {
        let columns = columns.join(",");
        let sql = format!("COPY (SELECT {columns} FROM {table}) TO STDOUT");
        let out = from.copy_out(&sql).await.unwrap();
        let chunks: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
        to.batch_execute(&format!("DELETE FROM {table}"))
            .await
            .unwrap();
        let sql = format!("COPY {table} ({columns}) FROM STDIN");
        let mut into = Box::pin(to.copy_in(&sql).await.unwrap());
        for chunk in chunks {
            into.send(chunk).await.unwrap();
        }
        into.as_mut().finish().await.unwrap();
    }
    let sql = "SELECT sequencename, last_value FROM pg_sequences
               WHERE schemaname = 'public' AND last_value IS NOT NULL";
    for stand in texts(from, sql).await {
        let sql = format!("SELECT setval('{}', {})", stand[0], stand[1]);
        to.batch_execute(&sql).await.unwrap();
    }
}
