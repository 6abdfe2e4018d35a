//! Limits and settings over small hand-made registers, and the index against a plain search.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use super::*;
use crate::geometry::tests::at;
use proptest::prelude::*;
use waywarden_model::registry::{Ban, Class, Hours, Registers, Sign, Validity, Zone};

const NOW: Timestamp = Timestamp::from_secs(1_773_104_405);

fn square(id: &str, low: (f64, f64), side: f64, limit: Option<i32>) -> Zone {
    let corner = |a: f64, b: f64| at(low.0 + a * side, low.1 + b * side);
    let ring = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (0.0, 0.0)];
    Zone {
        id: id.into(),
        name: String::new(),
        polygons: vec![vec![ring.map(|(a, b)| corner(a, b)).to_vec()]],
        limit: limit.map(Speed::from_kmh),
        setting: None,
        ban: None,
        validity: Validity::ALWAYS,
    }
}

fn eastward(id: &str, limit: i32) -> Sign {
    Sign {
        id: id.into(),
        line: vec![at(21.0, 107.0), at(21.0, 107.01)],
        half_width_m: 20.0,
        direction: None,
        both_ways: false,
        limit: Speed::from_kmh(limit),
        validity: Validity::ALWAYS,
    }
}

fn network(zones: Vec<Zone>, signs: Vec<Sign>) -> Network {
    Network::build(&Registry::new(
        1,
        Registers {
            zones,
            signs,
            ..Registers::default()
        },
    ))
}

fn course(degrees: f64) -> Option<Course> {
    Course::from_degrees(degrees)
}

fn limit(n: &Network, p: Position, c: Option<Course>) -> Option<(i32, String)> {
    n.limit_at(p, c, NOW)
        .map(|l| (l.limit.centi() / 100, l.object.to_string()))
}

#[test]
fn nothing_published_gives_nothing() {
    let n = Network::empty();
    assert_eq!(n.limit_at(at(21.0, 107.0), course(0.0), NOW), None);
    assert_eq!(n.setting_at(at(21.0, 107.0), NOW), None);
    assert!(n.route("r", NOW).is_none());
}

#[test]
fn a_sign_holds_along_its_stretch_in_its_direction() {
    let n = network(vec![], vec![eastward("s", 60)]);
    let on = at(21.0001, 107.005);
    for (heading, applies) in [
        (90.0, true),
        (45.0, true),
        (135.0, true),
        (44.9, false),
        (135.1, false),
        (270.0, false),
    ] {
        assert_eq!(
            limit(&n, on, course(heading)).is_some(),
            applies,
            "{heading}"
        );
    }
    assert_eq!(
        limit(&n, on, None),
        None,
        "without a heading a one-way sign does not apply"
    );
    assert_eq!(
        limit(&n, at(21.0003, 107.005), course(90.0)),
        None,
        "33 m beside it"
    );
    assert_eq!(
        limit(&n, at(21.0, 107.02), course(90.0)),
        None,
        "after its end"
    );
}

#[test]
fn both_ways_and_a_direction_of_its_own() {
    let both = Sign {
        both_ways: true,
        ..eastward("b", 60)
    };
    let n = network(vec![], vec![both]);
    let on = at(21.0, 107.005);
    for (heading, applies) in [
        (course(90.0), true),
        (course(270.0), true),
        (course(0.0), false),
        (None, true),
    ] {
        assert_eq!(limit(&n, on, heading).is_some(), applies, "{heading:?}");
    }
    let against = Sign {
        direction: course(270.0),
        ..eastward("a", 60)
    };
    let n = network(vec![], vec![against]);
    assert_eq!(limit(&n, on, course(90.0)), None);
    assert!(limit(&n, on, course(280.0)).is_some());
}

#[test]
fn signs_before_zones_then_the_highest_then_the_id() {
    let zones = vec![square("z", (20.9, 106.9), 0.2, Some(80))];
    let on = at(21.0, 107.005);
    let n = network(
        zones.clone(),
        vec![eastward("c", 50), eastward("b", 60), eastward("a", 60)],
    );
    assert_eq!(limit(&n, on, course(90.0)), Some((60, "a".to_owned())));
    let zone = n.limit_at(on, None, NOW).unwrap();
    assert_eq!(
        (zone.limit, zone.source),
        (Speed::from_kmh(80), LimitSource::Zone)
    );
    let reversed = network(
        zones,
        vec![eastward("a", 60), eastward("b", 60), eastward("c", 50)],
    );
    assert_eq!(
        reversed.limit_at(on, course(90.0), NOW),
        n.limit_at(on, course(90.0), NOW)
    );
    assert_eq!(reversed.content_hash(), n.content_hash());
    assert_ne!(
        n.content_hash(),
        network(vec![], vec![eastward("a", 60)]).content_hash()
    );
}

#[test]
fn what_is_out_of_force_does_not_count() {
    let past = Validity {
        from: Timestamp::MIN,
        until: NOW,
    };
    let from_now = Validity {
        from: NOW,
        until: Timestamp::MAX,
    };
    let zones = vec![
        Zone {
            validity: past,
            ..square("old", (20.9, 106.9), 0.2, Some(80))
        },
        Zone {
            validity: from_now,
            ..square("new", (20.9, 106.9), 0.2, Some(50))
        },
    ];
    let n = network(
        zones,
        vec![Sign {
            validity: past,
            ..eastward("s", 90)
        }],
    );
    assert_eq!(
        limit(&n, at(21.0, 107.005), course(90.0)),
        Some((50, "new".to_owned()))
    );
    let before = n
        .limit_at(at(21.0, 107.005), course(90.0), NOW.plus_millis(-1))
        .unwrap();
    assert_eq!(&*before.object, "s");
}

#[test]
fn bans_are_found_once_and_in_order() {
    let banned = |id: &str, side: f64, hours: Vec<Hours>| Zone {
        ban: Some(Ban {
            classes: vec![Class::Tanker],
            hours,
            direction: None,
        }),
        ..square(id, (20.9, 106.9), side, None)
    };
    let mut double = banned("b", 0.2, vec![]);
    double.polygons.push(double.polygons[0].clone());
    let morning = vec![Hours {
        from: 360,
        until: 540,
    }];
    let zones = vec![
        double,
        banned("a", 0.2, morning),
        banned("small", 0.05, vec![]),
        square("limit", (20.9, 106.9), 0.2, Some(50)),
    ];
    let n = network(zones.clone(), vec![]);
    let at_hour = |hour: u32| {
        let found = n.bans_at(at(21.0, 107.0), NOW, |b| b.at(hour * 3600));
        found.into_iter().map(|id| &**id).collect::<Vec<_>>()
    };
    assert_eq!(at_hour(7), ["a", "b"]);
    assert_eq!(at_hour(12), ["b"]);
    let outside = n.bans_at(at(22.0, 107.0), NOW, |_| true);
    assert!(outside.is_empty());
    let mut lifted = zones;
    lifted[1].ban = None;
    let without = network(lifted, vec![]).content_hash();
    assert_ne!(without, n.content_hash(), "a ban is content");
}

#[test]
fn the_setting_with_the_higher_limits_wins() {
    let with = |id: &str, setting| Zone {
        setting: Some(setting),
        ..square(id, (20.9, 106.9), 0.2, None)
    };
    let n = network(
        vec![
            with("a", RoadSetting::BuiltUpDual),
            with("b", RoadSetting::OutsideDual),
            with("c", RoadSetting::OutsideOther),
        ],
        vec![],
    );
    assert_eq!(
        n.setting_at(at(21.0, 107.0), NOW),
        Some(RoadSetting::OutsideDual)
    );
    assert_eq!(
        limit(&n, at(21.0, 107.0), None),
        None,
        "no limit of its own"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_index_finds_what_a_plain_search_finds(
        squares in prop::collection::vec((0.0..0.9f64, 0.0..0.9f64, 0.01..0.3f64, 3..12i32), 0..40),
        points in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 20)
    ) {
        let zones: Vec<Zone> = squares.iter().enumerate()
            .map(|(i, (a, b, side, l))| square(&format!("z{i:02}"), (21.0 + a, 107.0 + b), *side, Some(l * 10)))
            .collect();
        let n = network(zones, vec![]);
        for (a, b) in points {
            let plain = squares.iter().enumerate()
                .filter(|(_, (x, y, side, _))| *x < a && a < x + side && *y < b && b < y + side)
                .map(|(i, (_, _, _, l))| (l * 10, format!("z{i:02}")))
                .max_by(|p, q| p.0.cmp(&q.0).then_with(|| q.1.cmp(&p.1)));
            prop_assert_eq!(limit(&n, at(21.0 + a, 107.0 + b), None), plain);
        }
    }
}
