//! Bad input of every kind with its exact error, and the promises of an import.

use super::*;
use crate::SourceId;
use crate::ids::{DriverId, Plate};
use crate::registry::{Assignment, Ban, Class, Hours, Permit, Registry, Stop};
use crate::time::Timestamp;
use crate::units::{Course, Speed};
use crate::{Position, registry};
use proptest::prelude::*;
use std::path::PathBuf;

type Given<'a> = &'a [(&'a str, &'a str)];

fn import(files: Given<'_>, base: &Registers) -> Result<ImportSet, Vec<RegisterError>> {
    let files: Vec<ImportFile<'_>> = files
        .iter()
        .map(|(name, text)| ImportFile {
            name,
            kind: None,
            bytes: text.as_bytes(),
        })
        .collect();
    ImportSet::parse(&files, &TimeZone::vietnam(), base)
}

fn good(files: Given<'_>, base: &Registers) -> ImportSet {
    import(files, base).unwrap_or_else(|e| panic!("{}", told(&e).join("\n")))
}

fn told(errors: &[RegisterError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(files: Given<'_>, expected: &[&str]) {
    let errors = import(files, &Registers::default()).expect_err("it is wrong");
    assert_eq!(told(&errors), expected);
}

const CLASSES: &str = "car_up_to_28_seats, car_over_28_seats, truck_up_to_3_5t, truck_over_3_5t, \
    bus, tractor_with_semi_trailer, special_purpose, mixer, towing, tanker, special_machine, \
    four_wheel_passenger, four_wheel_goods, motorcycle";

#[test]
fn bad_tables() {
    let column = "vehicles.csv:1: colour: unknown column; known are plate, id, class, transport, \
        operator, route, speed_limit_kmh, break_minutes, inspection_expires, badge_expires, \
        badge_withdrawn, from, until";
    for (text, expected) in [
        ("", "vehicles.csv: the file has no header line"),
        ("plate,colour\n14C1,red\n", column),
        ("id\nx\n", "vehicles.csv:1: plate: the column is missing"),
        (
            "plate,plate\n",
            "vehicles.csv:1: plate: the column stands twice",
        ),
        (
            "plate,id\n14C00001\n",
            "vehicles.csv:2: 1 fields where the header has 2",
        ),
        (
            "plate,id\n\n\n,x\n",
            "vehicles.csv:4: plate: a value is missing",
        ),
        (
            "plate\r\n\r\nxe\r\n",
            "vehicles.csv:3: plate: `xe` is no number plate",
        ),
        (
            "plate,speed_limit_kmh\n14C00001,80 km\n",
            "vehicles.csv:2: speed_limit_kmh: `80 km` is no number from 1 to 200",
        ),
        (
            "plate,speed_limit_kmh\n14C00001,NaN\n",
            "vehicles.csv:2: speed_limit_kmh: `NaN` is no number from 1 to 200",
        ),
        (
            "plate,break_minutes\n14C00001,0\n",
            "vehicles.csv:2: break_minutes: `0` is no number from 1 to 1440",
        ),
        (
            "plate,from\n14C00001,10/03/2026\n",
            "vehicles.csv:2: from: `10/03/2026` is no time (2026-03-10T08:00:00+07:00) and no date (2026-03-10)",
        ),
        (
            "plate,from,until\n14C00001,2026-03-10,2026-03-10\n",
            "vehicles.csv:2: until: `until` is not after `from`",
        ),
        (
            "plate,from,until\n14C00001,,2026-03-11\n\"14C-000.01\",2026-03-10,\n",
            "vehicles.csv:3: id: the same key as line 2, at overlapping dates",
        ),
        (
            "plate,id\n14C00001,a\n14C-00001,b\n",
            "vehicles.csv:3: plate: the plate is another vehicle's at overlapping dates: line 2",
        ),
        (
            "plate,operator\n14C00001,5700000001\n",
            "vehicles.csv:2: operator: not in the register operators",
        ),
        (
            "plate,route\n14C00001,QN-9\n",
            "vehicles.csv:2: route: not in the register routes",
        ),
    ] {
        refused(&[("vehicles.csv", text)], &[expected]);
    }
    refused(
        &[("vehicles.csv", "plate,class\n14C00001,lorry\n")],
        &[&format!(
            "vehicles.csv:2: class: `lorry` is none of {CLASSES}"
        )],
    );
}

#[test]
fn bad_rows_of_the_other_registers() {
    for (name, text, expected) in [
        (
            "cards.csv",
            "card,driver\nA,1\n",
            "cards.csv:2: driver: not in the register drivers",
        ),
        (
            "drivers.csv",
            "licence,name\ncard:7,Lái xe 01\n",
            "drivers.csv:2: licence: a licence number must not begin with `card:`",
        ),
        (
            "drivers.csv",
            "licence,name\n1,\n",
            "drivers.csv:2: name: a value is missing",
        ),
        (
            "devices.csv",
            "id,protocol\n012,jt808\n",
            "devices.csv:2: id: a phone number of JT/T 808 is written without leading zeros",
        ),
        (
            "devices.csv",
            "id,protocol\n12,h02\n",
            "devices.csv:2: protocol: `h02` is none of teltonika, gt06, jt808",
        ),
        (
            "devices.csv",
            "id,utc_offset\n12,7\n",
            "devices.csv:2: utc_offset: `7` is no offset from UTC such as +07:00",
        ),
        (
            "devices.csv",
            "id,standing\n12,good\n",
            "devices.csv:2: standing: `good` is none of known, held, refused",
        ),
        (
            "fittings.csv",
            "source,vehicle,primary\n12,V,maybe\n",
            "fittings.csv:2: primary: `maybe` is none of true, false, yes, no, 1, 0",
        ),
        (
            "fittings.csv",
            "source,vehicle\n12,V\n",
            "fittings.csv:2: vehicle: not in the register vehicles",
        ),
        (
            "trucks.csv",
            "plate\n",
            "trucks.csv: the register cannot be told from the name; known are vehicles, drivers, \
             cards, operators, devices, fittings, routes, zones, signs",
        ),
    ] {
        refused(&[(name, text)], &[expected]);
    }
    refused(
        &[("vehicles.csv", "plate\n"), ("a/vehicles.csv", "plate\n")],
        &["a/vehicles.csv: the register vehicles is given twice"],
    );
}

#[test]
fn fittings_that_contradict_each_other() {
    let vehicles = ("vehicles.csv", "plate\n14C00001\n14C00002\n");
    for (rows, expected) in [
        (
            "A,14C00001,,\nB,14C00001,2026-01-01,\n",
            "fittings.csv:3: vehicle: the vehicle has another primary source at overlapping dates: line 2",
        ),
        (
            "A,14C00001,,\nA,14C00002,2026-01-01,\n",
            "fittings.csv:3: source: the source serves another vehicle at overlapping dates: line 2",
        ),
        (
            "A,14C00001,2026-01-01,\nA,14C00001,,2026-01-02\n",
            "fittings.csv:3: source: the same key as line 2, at overlapping dates",
        ),
    ] {
        let fittings = format!("source,vehicle,from,until\n{rows}");
        refused(&[vehicles, ("fittings.csv", &fittings)], &[expected]);
    }
    let second = "source,vehicle,primary\nA,14C00001,yes\nB,14C00001,no\n";
    assert_eq!(
        good(&[vehicles, ("fittings.csv", second)], &Registers::default())
            .registers
            .fittings
            .len(),
        2
    );
}

fn feature(kind: &str, coordinates: &str, properties: &str) -> String {
    format!(
        "{{\"type\":\"FeatureCollection\",\"features\":[\n{{\"type\":\"Feature\",\
         \n\"geometry\":{{\"type\":\"{kind}\",\"coordinates\":{coordinates}}},\
         \n\"properties\":{{{properties}}}}}]}}"
    )
}

const RING: &str = "[[107,21],[107.1,21],[107.1,21.1],[107,21]]";

#[test]
fn bad_geometry() {
    let zone = |coordinates: &str| feature("Polygon", coordinates, r#""id":"z","limit_kmh":50"#);
    for (text, expected) in [
        (
            zone("[[[107,21],[107.1,21],[107.1,21.1],[107,21.1]]]"),
            "zones.geojson:3: features[0].geometry: the ring is not closed: its last position is not its first",
        ),
        (
            zone("[[[107,21],[107.1,21.1],[107.1,21],[107,21.1],[107,21]]]"),
            "zones.geojson:3: features[0].geometry: the ring crosses or touches itself",
        ),
        (
            zone("[[[107,21],[107.1,21],[107,21]]]"),
            "zones.geojson:3: features[0].geometry: a ring has at least four positions",
        ),
        (
            zone("[[[21,107],[21,107.1],[21.1,107.1],[21,107]]]"),
            "zones.geojson:3: features[0].geometry: a position is [longitude, latitude] in degrees",
        ),
        (
            zone("[]"),
            "zones.geojson:3: features[0].geometry: a polygon has at least one ring",
        ),
        (
            zone("[[\"a\"]]"),
            "zones.geojson:3: features[0].geometry: a position is [longitude, latitude] in degrees",
        ),
        (
            feature("Point", "[107,21]", r#""id":"z","limit_kmh":50"#),
            "zones.geojson:3: features[0].geometry: `Point` is no geometry of this register; known are Polygon, MultiPolygon",
        ),
        (
            feature("Polygon", &format!("[{RING}]"), r#""id":"z""#),
            "zones.geojson:2: features[0].properties: neither a limit nor a setting nor a ban",
        ),
        (
            feature(
                "Polygon",
                &format!("[{RING}]"),
                "\"id\":\"z\",\n\"setting\":\"town\"",
            ),
            "zones.geojson:5: features[0].properties.setting: `town` is none of built_up_dual, built_up_other, outside_dual, outside_other",
        ),
        (
            feature(
                "Polygon",
                &format!("[{RING}]"),
                r#""id":"z","limit_kmh":50,"fid":1"#,
            ),
            "zones.geojson:2: features[0].properties.fid: unknown column; known are id, name, limit_kmh, setting, banned_classes, banned_hours, banned_direction_deg, from, until",
        ),
        (
            feature(
                "Polygon",
                &format!("[{RING}]"),
                r#""id":"z","limit_kmh":[50]"#,
            ),
            "zones.geojson:2: features[0].properties.limit_kmh: a text, a number, true or false is expected",
        ),
        (
            feature(
                "Polygon",
                &format!("[{RING}]"),
                r#""id":"z","banned_classes":"all","banned_hours":"6-9""#,
            ),
            "zones.geojson:4: features[0].properties.banned_hours: `6-9` are no hours such as 06:00-09:00,16:30-20:00",
        ),
        (
            feature(
                "Polygon",
                &format!("[{RING}]"),
                r#""id":"z","limit_kmh":50,"banned_hours":"06:00-09:00""#,
            ),
            "zones.geojson:2: features[0].properties.banned_classes: a value is missing",
        ),
        (
            "{\"type\":\"Feature\"}".to_owned(),
            "zones.geojson:1: type: a GeoJSON FeatureCollection is expected",
        ),
        (
            "{\"type\":\n,}".to_owned(),
            "zones.geojson:2: column 1: not well formed: expected value",
        ),
        (
            "{\"type\":\"FeatureCollection\",\"features\":[\n{\"geometry\":null}]}".to_owned(),
            "zones.geojson:2: features[0].geometry: a value is missing",
        ),
    ] {
        refused(&[("zones.geojson", &text)], &[expected]);
    }
}

#[test]
fn bad_routes_and_signs() {
    let line = "[[107,21],[107.1,21]]";
    for (name, text, expected) in [
        (
            "signs.geojson",
            feature(
                "Point",
                "[107,21]",
                r#""id":"s","limit_kmh":50,"length_m":5"#,
            ),
            "signs.geojson:2: features[0].properties.direction_deg: a value is missing",
        ),
        (
            "signs.geojson",
            feature(
                "LineString",
                line,
                r#""id":"s","limit_kmh":50,"length_m":5"#,
            ),
            "signs.geojson:4: features[0].properties.length_m: a sign drawn as a line has its own length",
        ),
        (
            "signs.geojson",
            feature(
                "LineString",
                "[[107,21],[107,21]]",
                r#""id":"s","limit_kmh":50"#,
            ),
            "signs.geojson:3: features[0].geometry: a line has at least two different positions",
        ),
        (
            "routes.geojson",
            feature("LineString", "[[107,21]]", r#""id":"r""#),
            "routes.geojson:3: features[0].geometry: a line has at least two different positions",
        ),
        (
            "routes.geojson",
            feature("LineString", line, r#""id":"r","stops":[{"lat":21}]"#),
            "routes.geojson:2: features[0].properties.stops[0].lon: a value is missing",
        ),
        (
            "routes.geojson",
            feature("Point", "[107,21]", r#""route":"r""#),
            "routes.geojson:2: features[0].properties.route: not in the register routes",
        ),
    ] {
        refused(&[(name, &text)], &[expected]);
    }
}

#[test]
fn all_errors_at_once_and_then_counted() {
    refused(
        &[
            (
                "drivers.csv",
                "licence,name,operator\n1,Lái xe 01,x\n,Lái xe 02,\n",
            ),
            ("cards.csv", "card,driver\nA,1\nB,2\n"),
        ],
        &[
            "cards.csv:3: driver: not in the register drivers",
            "drivers.csv:2: operator: not in the register operators",
            "drivers.csv:3: licence: a value is missing",
        ],
    );
    let many = format!("plate\n{}", "x\n".repeat(250));
    let errors = import(&[("vehicles.csv", &many)], &Registers::default()).unwrap_err();
    assert_eq!(errors.len(), MOST_ERRORS + 1);
    assert_eq!(
        errors[MOST_ERRORS].to_string(),
        "vehicles.csv: and 50 more errors"
    );
    // A broken row is not reported a second time by what refers to it.
    refused(
        &[
            ("vehicles.csv", "plate,class\n14C00001,lorry\n"),
            ("fittings.csv", "source,vehicle\nA,14C00001\n"),
        ],
        &[&format!(
            "vehicles.csv:2: class: `lorry` is none of {CLASSES}"
        )],
    );
}

#[test]
fn other_encodings_are_told() {
    let bytes = b"licence,name\n1,L\xE1i xe 01\n";
    let file = ImportFile {
        name: "export.csv",
        kind: Some(RegisterKind::Drivers),
        bytes,
    };
    let errors = ImportSet::parse(&[file], &TimeZone::vietnam(), &Registers::default());
    assert_eq!(
        told(&errors.unwrap_err()),
        ["export.csv:2: not UTF-8 text (byte 0xE1); save the file as UTF-8"]
    );
}

#[test]
fn marks_of_spreadsheets_are_taken() {
    let text = "\u{feff}plate;class;speed_limit_kmh\r\n14C-000.01; bus ;60.5\r\n";
    let rows = good(&[("vehicles.csv", text)], &Registers::default())
        .registers
        .vehicles;
    assert_eq!(rows[0].id.as_str(), "14C00001");
    assert_eq!(rows[0].class, Some(registry::Class::Bus));
    assert_eq!(rows[0].speed_limit, Some(Speed::from_centi(6050)));
}

#[test]
fn a_sign_on_a_post_becomes_a_stretch() {
    let text = feature(
        "Point",
        "[107,21]",
        r#""id":"s","limit_kmh":60,"direction_deg":90,"length_m":1000"#,
    );
    let sign = &good(&[("signs.geojson", &text)], &Registers::default())
        .registers
        .signs[0];
    assert_eq!(sign.direction, Course::from_degrees(90.0));
    assert!((sign.line[1].lat() - 21.0).abs() < 1e-9);
    // 1000 m over 111,195 m a degree, longer by 1 / cos 21 degrees.
    assert!(
        (sign.line[1].lon() - 107.009_633).abs() < 1e-5,
        "{:?}",
        sign.line
    );
}

#[test]
fn places_outside_vietnam_are_a_warning() {
    let text = feature("LineString", "[[21,40],[22,41]]", r#""id":"r""#);
    let set = good(&[("routes.geojson", &text)], &Registers::default());
    assert_eq!(
        told(&set.warnings),
        [
            "routes.geojson:3: features[0].geometry: outside Vietnam; are longitude and latitude in this order?"
        ]
    );
}

#[test]
fn a_file_replaces_its_register_and_no_other() {
    let first = good(
        &[
            ("vehicles.csv", "plate\n14C00001\n14C00002\n"),
            ("fittings.csv", "source,vehicle\nA,14C00001\n"),
        ],
        &Registers::default(),
    );
    let base = first.registers;
    let errors = import(&[("vehicles.csv", "plate\n14C00002\n")], &base).unwrap_err();
    assert_eq!(
        told(&errors),
        ["vehicles.csv: 1 rows of the register fittings refer to what this file leaves out"]
    );
    let rows = "plate,class,from\n14C00001,,\n14C00003,bus,2026-03-10\n";
    let set = good(&[("vehicles.csv", rows)], &base);
    assert_eq!(set.registers.fittings, base.fittings);
    let change = Change {
        register: RegisterKind::Vehicles,
        added: 1,
        changed: 0,
        removed: 1,
    };
    assert_eq!(set.changes, [change]);
    assert_eq!(set.reach.earliest(), None, "nothing fitted changes");
}

#[test]
fn an_import_says_how_far_it_reaches_back() {
    let day = |text: &str| TimeZone::vietnam().start_of(crate::LocalDay::parse(text).unwrap());
    let base = good(
        &[
            ("vehicles.csv", "plate\n14C00001\n14C00002\n"),
            ("fittings.csv", "source,vehicle,from,until\nA,14C00001,2026-01-01,2026-02-01\nB,14C00001,2026-02-01,\nC,14C00002,,\n"),
        ],
        &Registers::default(),
    )
    .registers;
    // The same state written in another way reaches nowhere.
    let split = "plate,from,until\n14C00001,,2026-03-10\n14C00001,2026-03-10,\n14C00002,,\n";
    let set = good(&[("vehicles.csv", split)], &base);
    assert_eq!(set.reach, Reach::default());
    assert_eq!(set.changes.len(), 1);
    // A class from 10 March concerns the source of that time alone.
    let dated =
        "plate,class,from,until\n14C00001,,,2026-03-10\n14C00001,bus,2026-03-10,\n14C00002,,,\n";
    let set = good(&[("vehicles.csv", dated)], &base);
    assert_eq!(
        set.reach.sources.into_iter().collect::<Vec<_>>(),
        [("B".into(), day("2026-03-10"))]
    );
    // From always: each source from when it was fitted.
    let always = "plate,class\n14C00001,bus\n14C00002,\n";
    let reach = good(&[("vehicles.csv", always)], &base).reach;
    assert_eq!(reach.of(&"A".into()), Some(day("2026-01-01")));
    assert_eq!(reach.of(&"B".into()), Some(day("2026-02-01")));
    assert_eq!(reach.of(&"C".into()), None);
    assert_eq!(reach.earliest(), Some(day("2026-01-01")));
    // A zone may concern anybody.
    let zone = feature(
        "Polygon",
        &format!("[{RING}]"),
        r#""id":"z","limit_kmh":50,"from":"2026-05-01""#,
    );
    let reach = good(&[("zones.geojson", &zone)], &base).reach;
    assert_eq!(reach.of(&"C".into()), Some(day("2026-05-01")));
}

#[test]
fn a_permit_reaches_back_to_where_it_lapses() {
    let day = |text: &str| TimeZone::vietnam().start_of(crate::LocalDay::parse(text).unwrap());
    let base = good(
        &[
            ("operators.csv", "tax_code,name\n57,A\n"),
            (
                "drivers.csv",
                "licence,name,licence_class,licence_expires\n22,A,C,2026-03-09\n23,B,,\n",
            ),
            (
                "vehicles.csv",
                "plate,operator,inspection_expires\n14C00001,57,2026-03-09\n14C00002,,\n",
            ),
            ("fittings.csv", "source,vehicle\nA,14C00001\nB,14C00002\n"),
        ],
        &Registers::default(),
    )
    .registers;
    let reach = |name: &str, text: &str| good(&[(name, text)], &base).reach;
    // Renewed: nothing was different while the old one was valid (through 9 March).
    let text = "plate,operator,inspection_expires\n14C00001,57,2026-09-30\n14C00002,,\n";
    let expected = [("A".into(), day("2026-03-10"))];
    assert_eq!(reach("vehicles.csv", text).sources, expected.into());
    let text = "licence,name,licence_class,licence_expires\n22,A,C,2036-03-09\n23,B,,\n";
    let of_drivers = reach("drivers.csv", text);
    assert_eq!(
        of_drivers.drivers,
        [("22".into(), day("2026-03-10"))].into()
    );
    assert_eq!(of_drivers.earliest(), Some(day("2026-03-10")));
    assert_eq!(of_drivers.of(&"A".into()), None, "it depends on who drove");
    // Another class counts from always, a driver of whom nothing is known never.
    let text = "licence,name,licence_class,licence_expires\n22,A,CE,2026-03-09\n24,C,,\n";
    assert_eq!(
        reach("drivers.csv", text).drivers,
        [("22".into(), Timestamp::MIN)].into()
    );
    // Names concern nobody; the operator's licence the sources of its vehicles.
    let reached = reach("operators.csv", "tax_code,name,address\n57,B,C\n");
    assert_eq!(reached, Reach::default());
    let text = "tax_code,name,licence_withdrawn\n57,A,2026-05-01\n";
    let expected = [("A".into(), day("2026-05-01"))];
    assert_eq!(reach("operators.csv", text).sources, expected.into());
}

#[test]
fn some_files_serve_an_evaluation() {
    let vehicles = "plate,id,operator,route,from\n14C-000.01,V1,5700000001,R1,2026-03-10\n";
    let of = |name, bytes: &'static str| ImportFile {
        name,
        kind: None,
        bytes: bytes.as_bytes(),
    };
    let zone = TimeZone::vietnam();
    let vehicles = ImportFile {
        name: "vehicles.csv",
        kind: None,
        bytes: vehicles.as_bytes(),
    };
    let all = Registers::for_evaluation(&[vehicles], &zone).unwrap();
    let registry = Registry::new(1, all);
    let day = |text: &str| zone.start_of(crate::LocalDay::parse(text).unwrap());
    let at = |t| registry.assignment(&"14C00001".into(), t).value;
    let found = at(day("2026-03-10")).unwrap();
    assert_eq!((found.vehicle.as_str(), found.primary), ("V1", true));
    assert_eq!(at(day("2026-03-09")), None);
    // A route is asked after where there is a file of them.
    let none = r#"{"type":"FeatureCollection","features":[]}"#;
    let routes = of("routes.geojson", none);
    let errors = Registers::for_evaluation(&[vehicles, routes], &zone).unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["vehicles.csv:2: route: not in the register routes"]);
}

#[test]
fn the_example_is_taken_without_a_warning() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
    let texts: Vec<(String, Vec<u8>)> = RegisterKind::ALL
        .iter()
        .map(|k| format!("{k}.{}", k.extension()))
        .map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap()))
        .collect();
    let files: Vec<ImportFile<'_>> = texts
        .iter()
        .map(|(name, bytes)| ImportFile {
            name,
            kind: None,
            bytes,
        })
        .collect();
    let set = ImportSet::parse(&files, &TimeZone::vietnam(), &Registers::default())
        .unwrap_or_else(|e| panic!("{}", told(&e).join("\n")));
    assert_eq!(told(&set.warnings), Vec::<String>::new());
    assert_eq!(set.changes.len(), RegisterKind::ALL.len());
    let r = &set.registers;
    for class in registry::Class::ALL {
        assert!(
            r.vehicles.iter().any(|v| v.class == Some(class)),
            "{class:?}"
        );
    }
    for transport in registry::Transport::ALL {
        assert!(
            r.vehicles.iter().any(|v| v.transport == Some(transport)),
            "{transport:?}"
        );
    }
    assert_eq!(exported(r), *r);
}

#[test]
fn the_document_names_every_column() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/registers.md");
    let text = std::fs::read_to_string(path).unwrap();
    let features = [
        features::ROUTE,
        features::STOP_OF_ROUTE,
        features::STOP_FEATURE,
    ];
    let tables = [
        VEHICLE,
        DRIVER,
        CARD,
        OPERATOR,
        DEVICE,
        FITTING,
        features::ZONE,
        features::SIGN,
    ];
    for column in features.iter().chain(&tables).copied().flatten() {
        assert!(text.contains(&format!("`{column}`")), "{column}");
    }
}

fn exported(registers: &Registers) -> Registers {
    let texts = RegisterKind::ALL.map(|k| (k.name(), registers.export(k)));
    let files: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (*n, t.as_str())).collect();
    good(&files, &Registers::default()).registers
}

/// Row `n` of a key holds in the `n`th of spans that do not overlap.
fn span(n: usize, open: bool) -> Validity {
    let at = |n: usize| {
        Timestamp::from_millis(1_767_225_600_000 + 86_400_123 * i64::try_from(n).unwrap())
    };
    Validity {
        from: if n == 0 { Timestamp::MIN } else { at(n) },
        until: if open { Timestamp::MAX } else { at(n + 1) },
    }
}

const RING_AT: [(f64, f64); 4] = [(21.0, 107.0), (21.0, 107.1), (21.1, 107.1), (21.0, 107.0)];

/// Dates among the days that look-ups are tried at.
fn permit(n: usize, withdrawn: bool) -> Permit {
    let day = |n: usize| Timestamp::from_secs(1_767_225_600 + 43_200 * i64::try_from(n).unwrap());
    Permit {
        expires: (n > 0).then(|| day(2 * n)),
        withdrawn: withdrawn.then(|| day(n)),
    }
}

/// What judging finds of a vehicle at `t`: of its permits, whether they are valid.
fn judged(
    found: Option<&Assignment>,
    t: Timestamp,
) -> Option<(Assignment, [Option<registry::Lapse>; 3])> {
    let mut plain = found?.clone();
    let lapses = [
        &mut plain.inspection,
        &mut plain.badge,
        &mut plain.operator_licence,
    ]
    .map(|p| std::mem::take(p).lapse(t));
    Some((plain, lapses))
}

prop_compose! {
    fn place()(lat in 8.0..23.0f64, lon in 102.5..109.0f64) -> Position {
        Position::new(lat, lon).unwrap()
    }
}

prop_compose! {
    fn all_registers()(
        vehicles in prop::collection::vec((0..14usize, 0..9usize, prop::option::of(100..20_000i32), prop::option::of(1..1440i64), 1..4usize), 1..8),
        names in prop::collection::vec("[a-zA-ZĐđáờ ,;\"']{0,12}[a-z]", 1..5),
        line in prop::collection::vec(place(), 2..6),
        stop in place(),
        heading in prop::option::of(0..36_000u16),
        flags in prop::array::uniform4(any::<bool>()),
        numbers in prop::array::uniform2(1.0..1000.0f64),
        limit in 100..20_000i32,
    ) -> Registers {
        let mut r = Registers::default();
        for (i, name) in names.iter().enumerate() {
            r.operators.push(Operator { id: format!("57{i}").as_str().into(), name: name.trim().to_owned(), address: None, phone: None, licence: permit(i, flags[0]), validity: Validity::ALWAYS });
            r.drivers.push(Driver { id: format!("22{i}").as_str().into(), name: name.trim().to_owned(), licence_class: Some("C".to_owned()), licence: permit(i + 1, flags[1]), operator: None, validity: Validity::ALWAYS });
            r.cards.push(Card { id: format!("C{i}").as_str().into(), driver: DriverId::from(format!("22{i}").as_str()), validity: span(i, flags[0]) });
        }
        r.routes.push(Route { id: "r".into(), name: "r".to_owned(), line: line.clone(), half_width_m: numbers[0], stops: vec![Stop { name: "s".to_owned(), position: stop, radius_m: numbers[1], terminal: flags[1] }], validity: span(1, flags[2]) });
        let hours = if flags[0] { vec![Hours { from: 1320, until: 300 }, Hours { from: 360, until: 1440 }] } else { vec![] };
        let classes = if flags[1] { vec![Class::Tanker, Class::Bus] } else { vec![] };
        r.zones.push(Zone { id: "z".into(), name: "z".to_owned(), polygons: vec![vec![RING_AT.map(|(lat, lon)| Position::new(lat, lon).unwrap()).to_vec()]],
            limit: None, setting: None, ban: Some(Ban { classes, hours, direction: heading.map(Course::from_centi) }), validity: Validity::ALWAYS });
        r.signs.push(Sign { id: "s".into(), line, half_width_m: numbers[0], direction: heading.map(Course::from_centi), both_ways: flags[1], limit: Speed::from_centi(limit), validity: Validity::ALWAYS });
        for (i, (class, transport, speed, rest, spans)) in vehicles.into_iter().enumerate() {
            let id = format!("V{i}");
            for n in 0..spans {
                r.vehicles.push(Vehicle {
                    id: id.as_str().into(), plate: Plate::new(&format!("14C{i:03}{n:02}")),
                    class: Some(registry::Class::ALL[class]), transport: Some(registry::Transport::ALL[transport]),
                    operator: Some("570".into()), route: flags[3].then(|| "r".into()),
                    speed_limit: speed.map(Speed::from_centi), break_ms: rest.map(|m| m * 60_000), inspection: Permit { expires: rest.map(Timestamp::from_secs), withdrawn: None },
                    badge: permit(n, flags[2]), validity: span(n, n + 1 == spans),
                });
            }
            for n in 0..spans.min(2) {
                r.fittings.push(Fitting { source: format!("S{}", (i + n) % 8).as_str().into(), vehicle: id.as_str().into(), primary: n == 0, validity: span(2 * n, false) });
            }
        }
        r.fittings.sort_by(|a, b| (&a.source, a.validity.from).cmp(&(&b.source, b.validity.from)));
        r.devices.push(Device { id: "S0".into(), protocol: Some(crate::Protocol::Gt06), utc_offset_s: Some(-12_600), dialect: None, standing: crate::Standing::Held, validity: Validity::ALWAYS });
        r
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_exported_comes_in_again(r in all_registers()) {
        prop_assert_eq!(exported(&r), r);
    }

    #[test]
    fn the_order_of_lines_makes_no_difference(r in all_registers(), turn in 0..20usize) {
        for kind in [RegisterKind::Vehicles, RegisterKind::Cards] {
            let text = r.export(kind);
            let (header, rows) = text.split_once('\n').unwrap();
            let mut rows: Vec<&str> = rows.lines().collect();
            let middle = turn % rows.len();
            rows.rotate_left(middle);
            let turned = format!("{header}\n{}\n", rows.join("\n"));
            let set = good(&[(kind.name(), &turned)], &r);
            prop_assert_eq!(&set.registers, &r);
            prop_assert_eq!(set.changes, vec![]);
        }
    }

    #[test]
    fn look_ups_agree_with_a_plain_search(r in all_registers(), days in prop::collection::vec(-1000..8000i64, 20)) {
        let registry = Registry::new(1, r.clone());
        for day in days {
            let t = Timestamp::from_millis(1_767_225_600_000 + day * 86_400);
            for s in 0..9 {
                let source = SourceId::from(format!("S{s}").as_str());
                let plain = r.fittings.iter().find(|f| f.source == source && f.validity.holds_at(t))
                    .and_then(|f| r.vehicles.iter().find(|v| v.id == f.vehicle && v.validity.holds_at(t)));
                let got = registry.assignment(&source, t);
                prop_assert!(got.validity.holds_at(t));
                prop_assert_eq!(got.value.as_ref().map(|a| &a.plate), plain.map(|v| &v.plate));
                // The answer stays the same to both ends of what it says.
                for edge in [got.validity.from, got.validity.until.plus_millis(-1)] {
                    prop_assert_eq!(&registry.assignment(&source, edge).value, &got.value);
                }
            }
        }
    }

    #[test]
    fn reach_is_the_first_difference_of_look_ups(a in all_registers(), b in all_registers()) {
        let reach = change::reach(&a, &b);
        let (before, after) = (Registry::new(1, a.clone()), Registry::new(2, b.clone()));
        for s in 0..9 {
            let source = SourceId::from(format!("S{s}").as_str());
            for n in 0..40 {
                let t = Timestamp::from_millis(1_767_225_600_000 + n * 21_600_000);
                let (was, is) = (before.assignment(&source, t).value, after.assignment(&source, t).value);
                let differs = judged(was.as_deref(), t) != judged(is.as_deref(), t);
                if differs {
                    prop_assert!(reach.of(&source).is_some_and(|from| from <= t), "{source} at {t}");
                }
            }
        }
    }

    #[test]
    fn no_text_ends_the_process(text in "[a-z,;\"{}\\[\\]:0-9\n\r.-]{0,200}", kind in 0..9usize) {
        let kind = RegisterKind::ALL[kind];
        let header = if kind.extension() == "csv" { "plate,id,from\n" } else { "" };
        let _ = import(&[(kind.name(), &format!("{header}{text}"))], &Registers::default());
    }
}
