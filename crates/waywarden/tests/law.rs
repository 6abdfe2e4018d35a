//! Frames in, violations out: for each rule, through the real program, with values worked out by
//! hand from the law's text. The devices carry whole km/h, so the speeds here are whole.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Running, token};
use waywarden_model::{CardId, DriverSaid, Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::{DeviceEvent, device_side};

/// 2026-03-10T08:00:00+07:00, a Tuesday.
const START: &str = "2026-03-10T01:00:00Z";
/// Metres of a degree of latitude on the law's sphere: 6,371 km x pi / 180.
const DEGREE_M: f64 = 111_194.926_6;

const DRIVERS: [&str; 4] = [
    "220000000001",
    "220000000002",
    "220000000003",
    "220000000004",
];

fn registers(dir: &Path) {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write(
        "vehicles.csv",
        "plate,class,transport,route\n\
         14C-000.01,truck_over_3_5t,goods,\n\
         14C-000.02,truck_over_3_5t,goods,\n\
         14B-000.03,bus,fixed_route,R1\n\
         14C-000.04,truck_over_3_5t,goods,\n",
    );
    let devices = [
        "860000000000001",
        "860000000000002",
        "860000000000003",
        "860000000000004",
    ];
    let plates = ["14C00001", "14C00002", "14B00003", "14C00004"];
    let rows = |row: &dyn Fn(usize) -> String| (0..4).map(row).collect::<String>();
    write(
        "devices.csv",
        &format!(
            "id,protocol\n{}",
            rows(&|n| format!("{},teltonika\n", devices[n]))
        ),
    );
    write(
        "fittings.csv",
        &format!(
            "source,vehicle,primary\n{}",
            rows(&|n| format!("{},{},true\n", devices[n], plates[n]))
        ),
    );
    // A driver each: driving hours are a driver's, over all vehicles.
    write(
        "drivers.csv",
        &format!(
            "licence,name\n{}",
            rows(&|n| format!("{},Lái xe 0{}\n", DRIVERS[n], n + 1))
        ),
    );
    write(
        "cards.csv",
        &format!(
            "card,driver\n{}",
            rows(&|n| format!("00000000000000A{},{}\n", n + 1, DRIVERS[n]))
        ),
    );
    // Northwards along 107 E, 200 m to either side.
    let route = json!({"type": "FeatureCollection", "features": [{
        "type": "Feature",
        "properties": {"id": "R1", "name": "R1", "half_width_m": 200, "stops": []},
        "geometry": {"type": "LineString", "coordinates": [[107.0, 21.0], [107.0, 21.5]]},
    }]});
    write("routes.geojson", &route.to_string());
}

/// A journey northwards: legs of (seconds between records, km/h, how many records).
struct Journey {
    t: i64,
    metres: f64,
    lon: f64,
    /// Number of the vehicle and its driver, from 1.
    number: usize,
    records: Vec<Record>,
}

impl Journey {
    fn of(number: usize, t: i64) -> Self {
        Self {
            number,
            t,
            metres: 0.0,
            lon: 107.0,
            records: Vec::new(),
        }
    }

    fn leg(mut self, every: i64, kmh: i32, count: usize) -> Self {
        for _ in 0..count {
            self.t += every;
            self.metres += f64::from(kmh) / 3.6 * every as f64;
            self.push(kmh);
        }
        self
    }

    /// Speeds that waver by 1 km/h around `kmh`, so that they do not freeze (reading A6).
    fn wavering(mut self, every: i64, kmh: i32, count: usize) -> Self {
        for n in 0..count {
            self.t += every;
            self.metres += f64::from(kmh) / 3.6 * every as f64;
            self.push(kmh + i32::from(n % 2 == 0));
        }
        self
    }

    fn east(mut self, metres: f64) -> Self {
        // cos 21 deg = 0.93358
        self.lon += metres / DEGREE_M / 0.933_58;
        self
    }

    fn push(&mut self, kmh: i32) {
        let lat = 21.0 + self.metres / DEGREE_M;
        let start = Timestamp::parse_rfc3339(START).unwrap();
        let place = Position::new(lat, self.lon).unwrap();
        self.records.push(Record {
            speed: Some(Speed::from_kmh(kmh)),
            satellites: Some(9),
            driver: DriverSaid::Card(CardId::new(format!("00000000000000A{}", self.number))),
            ..Record::fix(start.plus_millis(1000 * self.t), place)
        });
    }
}

/// Sends the records as the device's frames and waits until each is acknowledged.
fn send(to: &str, device: &str, records: &[Record]) {
    let mut side = device_side(Protocol::Teltonika, device);
    let mut socket = TcpStream::connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut input = Vec::new();
    let mut wait_for = |side: &mut Box<dyn waywarden_wire::DeviceSide>, socket: &mut TcpStream| {
        let mut events = Vec::new();
        while events.is_empty() {
            let mut buffer = [0; 64];
            let n = socket.read(&mut buffer).unwrap();
            assert!(n > 0, "the gateway closed the connection");
            input.extend(&buffer[..n]);
            let consumed = side.receive(&input, &mut events);
            input.drain(..consumed);
        }
        events.remove(0)
    };
    let hello = side.connect();
    socket.write_all(&hello).unwrap();
    assert_eq!(wait_for(&mut side, &mut socket), DeviceEvent::Accepted);
    for chunk in records.chunks(25) {
        let (tag, frame) = side.data(chunk);
        socket.write_all(&frame).unwrap();
        assert_eq!(
            wait_for(&mut side, &mut socket),
            DeviceEvent::Acknowledged { tag }
        );
    }
}

fn violations_of(running: &Running, token: &str, plate: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let path = format!("/api/v1/violations?vehicle={plate}&limit=50");
        let answer = running.get(&path, token);
        let mut items = answer["items"].as_array().unwrap().clone();
        items.sort_by_key(|v| (v["kind"].to_string(), v["start"].to_string()));
        if items.len() >= count && items.iter().all(|v| v["open"] == false) {
            return items;
        }
        assert!(Instant::now() < until, "{plate}: {items:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check(got: &Value, want: &Value) {
    for (field, want) in want.as_object().unwrap() {
        let same = match (got[field].as_f64(), want.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-6,
            _ => &got[field] == want,
        };
        assert!(same, "{field}: {} instead of {want} in {got:#}", got[field]);
    }
}

#[test]
fn each_rule_from_frames_to_http() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("registers");
    std::fs::create_dir(&files).unwrap();
    registers(&files);
    let data = dir.path().join("data");
    let running = Running::start_on(&data, &files, &[]);
    let token = token(&data);
    let to = running.to("teltonika").to_owned();
    let common = json!({"profile": "vn-36-2024", "status": "new"});

    // Overspeed (TT 71/2024 Annex II): 100 km/h at 5, 10, .. 30 s. The interval from 40 to 100
    // km/h has Vtb = 70; then five of Vtb = 100: Vss = 97, limit 80 (truck over 3.5 t, outside,
    // dual), excess 17, band 10-20. Held from 8:00:05 to 8:00:30 = 25 s >= 20 s.
    // D = 5 x round4(100 x 5 / 3600 = 0.138889) = 5 x 0.1389 = 0.6945 km. It ends at 20 km/h:
    // (100 + 20) / 2 - 3 = 57.
    let journey = Journey::of(1, -5)
        .leg(5, 40, 1)
        .leg(5, 100, 6)
        .leg(5, 20, 1);
    send(&to, "860000000000001", &journey.records);
    let found = violations_of(&running, &token, "14C00001", 1);
    assert_eq!(found.len(), 1);
    check(&found[0], &common);
    check(
        &found[0],
        &json!({
            "kind": "overspeed", "vehicle": "14C00001", "driver_id": "220000000001", "start": "2026-03-10T01:00:05Z",
            "end": "2026-03-10T01:00:30Z", "band": "10-20", "limit_kmh": 80, "limit_source": "class",
            "max_excess_kmh": 17, "distance_km": 0.6945, "duration_s": 25, "limit_s": null,
        }),
    );

    // Continuous driving (36/2024 art. 64): a record every 60 s at 20 km/h (ten hours stay within the country).
    // Drives 4:01 from the first moving record to the first of the stop, rests 16 min (>= 15).
    // 241 min = 14,460 s > 14,400 s. Then 6:00 in two pieces of 3:00 with 16 min between:
    // nothing more continuous, and the day has 4:01 + 6:00 = 10:01 > 10:00 = 36,000 s.
    let drive = |j: Journey, minutes: usize| j.wavering(60, 20, minutes).leg(60, 0, 1);
    let rest = |j: Journey| j.leg(60, 0, 16);
    let journey = drive(
        rest(drive(
            rest(drive(Journey::of(2, -60).leg(60, 0, 1), 241)),
            180,
        )),
        180,
    );
    let journey = rest(journey);
    send(&to, "860000000000002", &journey.records);
    let found = violations_of(&running, &token, "14C00002", 2);
    let kinds: Vec<&Value> = found.iter().map(|v| &v["kind"]).collect();
    assert_eq!(kinds, ["continuous_driving", "daily_driving"]);
    found.iter().for_each(|v| check(v, &common));
    check(
        &found[0],
        &json!({
            "start": "2026-03-10T01:01:00Z", "end": "2026-03-10T05:02:00Z",
            "duration_s": 14_460, "limit_s": 14_400, "driver_id": "220000000002",
        }),
    );
    // From 8:01 over 241 + 1 + 15 + 1 .. to the first record of the last stop: 602 min of driving
    // and two breaks of 17 min between the stops' first records and the next moving ones.
    check(
        &found[1],
        &json!({"start": "2026-03-10T01:01:00Z", "duration_s": 36_060, "limit_s": 36_000}),
    );

    // Leaving the route (our own rule): on the line, then 500 m east of it (corridor 200 m) for
    // twenty records of 36 km/h every 10 s, then back. First outside 8:00:50, last 8:04:00:
    // 190 s >= 180 s; 19 intervals of 100 m = 1.9 km >= 0.5 km.
    let journey = Journey::of(3, -10)
        .leg(10, 36, 5)
        .east(500.0)
        .leg(10, 36, 20)
        .east(-500.0)
        .leg(10, 36, 3);
    send(&to, "860000000000003", &journey.records);
    let found = violations_of(&running, &token, "14B00003", 1);
    let away = found
        .iter()
        .find(|v| v["kind"] == "route_deviation")
        .unwrap();
    check(
        away,
        &json!({
            "start": "2026-03-10T01:00:50Z", "end": "2026-03-10T01:04:00Z", "duration_s": 190,
            "driver_id": "220000000003",
        }),
    );
    assert_eq!(away["figures"]["max_offset_m"], 500);

    // A transmission gap (Annex IV): 200 s and 1,000 m between two placed records; and every
    // kind of invalid record between good ones changes nothing.
    let mut journey = Journey::of(4, -10).leg(10, 36, 3);
    let good = journey.records.last().unwrap().clone();
    let bad = |t: i64, lat: f64, kmh: i32| Record {
        time: good.time.plus_millis(1000 * t),
        position: Position::new(lat, 107.0),
        speed: Some(Speed::from_kmh(kmh)),
        ..good.clone()
    };
    journey.records.push(bad(1, 0.0, 36)); // latitude 0
    journey.records.push(bad(2, 30.0, 36)); // another country
    journey.t += 190;
    journey.metres += 900.0;
    let journey = journey.leg(10, 36, 3);
    send(&to, "860000000000004", &journey.records);
    let found = violations_of(&running, &token, "14C00004", 1);
    assert_eq!(found.len(), 1);
    check(
        &found[0],
        &json!({
            "kind": "transmission_gap", "start": "2026-03-10T01:00:20Z",
            "end": "2026-03-10T01:03:40Z", "duration_s": 200, "distance_km": 1.0,
        }),
    );
    let id = found[0]["id"].as_str().unwrap();
    let whole = running.get(&format!("/api/v1/violations/{id}"), &token);
    let evidence = whole["evidence"].to_string();
    assert!(
        evidence.contains("sha256") && evidence.contains("raw"),
        "{evidence}"
    );
    running.stop();
}

#[test]
fn what_comes_twenty_times_is_filed_once() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("registers");
    std::fs::create_dir(&files).unwrap();
    registers(&files);
    let data = dir.path().join("data");
    let running = Running::start_on(&data, &files, &[]);
    let token = token(&data);
    let journey = Journey::of(1, 0).leg(10, 50, 5);
    for _ in 0..20 {
        send(running.to("teltonika"), "860000000000001", &journey.records);
    }
    // And another record of the last instant: both are on file.
    let mut other = journey.records[4].clone();
    other.speed = Some(Speed::from_kmh(51));
    send(running.to("auto"), "860000000000001", &[other]);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let status = running.get("/api/v1/status", &token);
        let sum = |name: &str| -> u64 {
            let all = status["partitions"].as_array().unwrap().iter();
            all.map(|p| p["counters"][name].as_u64().unwrap()).sum()
        };
        if sum("read") == 101 {
            assert_eq!((sum("filed"), sum("repeated"), sum("late")), (6, 95, 1));
            assert_eq!(status["marks"], 1);
            break;
        }
        assert!(Instant::now() < until, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.stop();
}
