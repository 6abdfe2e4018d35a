//! The project's own cases of the other regimes: each clause at its edge, with the arithmetic
//! beside it. A plan is what a driver does one after the other: `4:30` of driving, `-0:45` of rest,
//! `(...)x3` three times.

#![allow(clippy::unwrap_used)] // a case that cannot be read has failed

use waywarden_model::registry::Registry;
use waywarden_model::{
    Distance, DriverSaid, Period, Position, Record, SourceId, Speed, Subject, TimeZone, Timestamp,
    Violation,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{evaluate, input};
use waywarden_rules::{Context, Library, subject};

const DRIVER: &str = "220000000001";
/// A Monday, 06:00 UTC.
const MONDAY: &str = "2026-03-09T06:00:00Z";

fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(time).unwrap()
}

fn minutes(text: &str) -> i64 {
    let (h, m) = text.split_once(':').unwrap();
    h.parse::<i64>().unwrap() * 60 + m.parse::<i64>().unwrap()
}

fn clock(ms: i64) -> String {
    format!("{}:{:02}", ms / 3_600_000, ms / 60_000 % 60)
}

/// Minutes of driving, or of rest (negative), one after the other.
fn plan(text: &str) -> Vec<i64> {
    if let Some((before, rest)) = text.split_once('(') {
        let (inside, rest) = rest.split_once(")x").unwrap();
        let (times, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let inside = plan(inside).repeat(times.parse().unwrap());
        return [plan(before), inside, plan(behind)].concat();
    }
    let one = |word: &str| match word.strip_prefix('-') {
        Some(rest) => -minutes(rest),
        None => minutes(word),
    };
    text.split_whitespace().map(one).collect()
}

fn judged(regime: &str, start: &str, text: &str) -> Vec<Violation> {
    let mut now = at(start);
    let mut periods = Vec::new();
    for step in plan(text) {
        let end = now.plus_millis(step.abs() * 60_000);
        if step > 0 {
            periods.push(Period {
                source: SourceId::from("14C1"),
                start: now,
                end,
                open: false,
                vehicle: Some("14C1".into()),
                plate: None,
                driver: Some(DRIVER.into()),
                operator: None,
                break_ms: 900_000,
                distance: Distance::ZERO,
                registry: 1,
            });
        }
        now = end;
    }
    let law = Library::built_in()
        .law(regime, TimeZone::vietnam())
        .unwrap();
    let driver = Subject::Driver(DRIVER.into());
    let mut found = subject::judge(&law, &driver, Timestamp::MIN, &periods).violations;
    found.sort_by_key(|v| (v.start, v.kind, v.rule));
    found
}

/// `kind/rule counted limit`, in the order of their starts.
fn check_from(start: &str, regime: &str, text: &str, expected: &[&str]) {
    let line = |v: &Violation| {
        let rule = v.rule.map_or(String::new(), |r| format!("/{}", r.name()));
        let limit = clock(v.limit_ms.unwrap());
        format!("{}{rule} {} {limit}", v.kind.name(), clock(v.duration_ms))
    };
    let got: Vec<String> = judged(regime, start, text).iter().map(line).collect();
    assert_eq!(got, expected, "{regime}: {text}");
}

fn eu(text: &str, expected: &[&str]) {
    check_from(MONDAY, "eu-561", text, expected);
}

#[test]
fn eu_continuous_driving() {
    let over = |driven: &str| format!("continuous_driving {driven} 4:30");
    eu("4:30", &[]);
    eu("4:31", &[&over("4:31")]);
    eu("2:15 -0:45 4:30", &[]);
    eu("2:15 -0:44 2:16", &[&over("4:31")]); // a first part of 44 is only a first part (F12)
    eu("2:00 -0:15 2:00 -0:30 2:00", &[]);
    eu("2:00 -0:15 2:00 -0:29 2:00", &[&over("6:00")]);
    eu("2:00 -0:30 2:00 -0:15 2:00", &[&over("6:00")]); // not in this order
    eu("2:00 -0:30 2:00 -0:30 4:30", &[]); // 30 is as good as 15, then 30
    eu("2:00 -0:14 2:00 -0:30 2:00", &[&over("6:00")]); // 14 is no part, 30 is the first
}

#[test]
fn eu_daily_driving() {
    // 9:00 with breaks; a day over 9:00 uses an extension (F4): two of 9:30, and the third is one
    // too many. 10:01 is above the extended limit.
    let nine = "4:30 -0:45 4:30 -12:00";
    let long = "4:30 -0:45 4:30 -0:45 0:30 -12:00";
    eu(&format!("({nine})x4"), &[]);
    eu(&format!("({long})x3"), &["daily_driving 9:30 9:00"]);
    let too_long = "4:30 -0:45 4:30 -0:45 1:01 -12:00";
    eu(too_long, &["daily_driving 10:01 10:00"]);
    // Sunday's day belongs to its week (F4): two extensions there, two in the next.
    let sunday = "2026-03-14T06:00:00Z";
    check_from(sunday, "eu-561", &format!("({long})x4"), &[]);
    // Rest of 8:59 does not end the day (F3): 2 x 5:00 are 10:00, the first extension; the window
    // of 24 h from 06:00 has 8:59 and from 01:44 on 12 h less 8:16: insufficient is what was in it.
    let got = judged("eu-561", MONDAY, "4:00 -8:59 4:00 -12:00");
    assert_eq!(got.len(), 1, "{got:#?}");
}

#[test]
fn eu_weeks() {
    // 2 x 10 + 4 x 9 = 56:00 in one week, on Sunday a minute more; each day has its 24 h.
    let ten = "4:30 -0:45 4:30 -0:45 1:00 -12:30"; // 11:30 + 12:30
    let nine = "4:30 -0:45 4:30 -14:15"; // 9:45 + 14:15
    let week = format!("({ten})x2 ({nine})x4");
    eu(&week, &[]);
    // From Monday 06:00 to Saturday 15:45 are 129:45; the minute on Sunday at 06:00 ends 144:01
    // after the last weekly rest: late too.
    eu(
        &format!("{week} 0:01"),
        &[
            "weekly_driving 56:01 56:00",
            "weekly_rest/late 144:01 144:00",
        ],
    );
    // Five days of 9:00 are 45:00; from Friday 15:45 to Monday 06:00 are 62:15. 45 + 45 = 90:00,
    // and one more minute.
    eu(&format!("({nine})x5 -48:00 ({nine})x5"), &[]);
    let more = format!("({nine})x5 -48:00 ({nine})x4 4:30 -0:45 4:30 -0:45 0:01");
    eu(&more, &["two_weekly_driving 90:01 90:00"]);
}

#[test]
fn eu_daily_rest() {
    // 13:00 of shift leave 11:00 of 24 h; 13:01 leave 10:59, which is reduced and allowed.
    let shift = |pause: &str, rest: &str| format!("4:00 {pause} 4:00 {rest}");
    eu(&shift("-5:00", "-11:00"), &[]);
    // 15:00 leave 9:00; 15:01 leave 8:59, however long the rest is (F5).
    eu(&format!("{} 1:00", shift("-7:00", "-12:00")), &[]);
    eu(
        &format!("{} 1:00", shift("-7:01", "-12:00")),
        &["daily_rest/insufficient 8:59 9:00"],
    );
    // Four shifts with 10:00 each; the last is one reduction too many (art. 8.4).
    let reduced = "3:00 -2:30 3:00 -2:30 3:00 -10:00"; // 14:00 and 10:00
    eu(&format!("({reduced})x3 1:00"), &[]);
    eu(
        &format!("({reduced})x4 1:00"),
        &["daily_rest/more_than_three_reduced 10:00 11:00"],
    );
    // 3 and 9 are a regular rest (F7); with 2:59 it is a reduced one, and the fourth too many.
    let split = |first: &str| format!("(3:00 {first} 3:00 -9:00)x4 1:00");
    eu(&split("-3:00"), &[]);
    eu(
        &split("-2:59"),
        &["daily_rest/more_than_three_reduced 9:00 11:00"],
    );
    // Three reductions, then a shift of 14:00 with 10:00 left; where the rest goes on as a weekly
    // one it is none (F8).
    let last = "(3:00 -9:00)x3 3:00 -2:30 3:00 -2:30 3:00";
    eu(&format!("{last} -24:00 1:00"), &[]);
    eu(
        &format!("{last} -23:59 1:00"),
        &["daily_rest/more_than_three_reduced 10:00 11:00"],
    );
}

#[test]
fn eu_weekly_rest_begins_in_time() {
    // Six days of 4:00 and 20:00: the sixth ends at 124:00. A seventh ends at 148:00, 4 h late.
    eu("(4:00 -20:00)x6 -25:00 1:00", &[]);
    eu("(4:00 -20:00)x6 4:00", &["weekly_rest/late 148:00 144:00"]);
    // 144:00 exactly: 140:00 and 4:00 more.
    eu("(4:00 -20:00)x5 4:00 -16:00 4:00", &[]);
    eu(
        "(4:00 -20:00)x5 4:00 -16:00 4:01",
        &["weekly_rest/late 144:01 144:00"],
    );
}

/// A week of 168:00 that ends with a rest of so many hours. Four days of 13:00 and 11:00 are over
/// at 85:00 (3 x 24:00 + 13:00); what is left up to the rest is 1:00 of driving at a time, each
/// behind a rest of at most 12:00: no daily rest is longer than 9:00 by a debt of 9:00.
fn week(rest: i64) -> String {
    let mut left = 83 * 60 - rest * 60;
    let mut text = "(1:00 -5:00 1:00 -5:00 1:00 -11:00)x3 1:00 -5:00 1:00 -5:00 1:00".to_owned();
    while left > 0 {
        let pause = (left - 60).min(12 * 60);
        text = format!("{text} -{}:{:02} 1:00", pause / 60, pause % 60);
        left -= pause + 60;
    }
    format!("{text} -{rest}:00 ")
}

#[test]
fn eu_two_weeks_and_compensation() {
    let of = |start: &str, rests: &[i64]| {
        let text = rests.iter().map(|r| week(*r)).collect::<String>() + "1:00";
        let found = judged("eu-561", start, &text);
        let weekly = found.into_iter().filter(|v| v.kind.name() == "weekly_rest");
        let line = |v: Violation| (v.rule.unwrap().name(), clock(v.duration_ms));
        weekly.map(line).collect::<Vec<_>>()
    };
    let line = |rule, rested: &str| vec![(rule, rested.to_owned())];
    // Each rest ends on a Sunday at 22:00, in its own week. The first week is full (F15).
    let sunday = "2026-03-08T22:00:00Z";
    assert_eq!(of(sunday, &[46, 46, 46, 46]), vec![]);
    // 36 in the second week owe 9:00, and 60 in the fourth have 15:00 over 45:00.
    assert_eq!(of(sunday, &[46, 36, 46, 60, 46, 46]), vec![]);
    // 53 have only 8:00 over 45:00.
    let unpaid = line("not_compensated", "36:00");
    assert_eq!(of(sunday, &[46, 36, 46, 53, 46, 46]), unpaid);
    // The sixth week is behind the third after the second: 60 h there come too late.
    assert_eq!(of(sunday, &[46, 36, 46, 46, 46, 60]), unpaid);
    // Two debts of 9:00: 62 h have 17:00 over 45:00 and pay one of them, 63 h have 18:00.
    assert_eq!(of(sunday, &[46, 36, 46, 36, 63, 46, 46, 46]), vec![]);
    assert_eq!(of(sunday, &[46, 36, 46, 36, 62, 46, 46, 46]), unpaid);
    // Weeks two and three have a reduced rest each, no regular one in the two; both are paid.
    let short = line("two_weeks", "37:00");
    assert_eq!(of(sunday, &[46, 36, 37, 64, 46, 46, 46]), short);
    // The same rests over the boundary of two weeks, up to Monday 06:00 (F13): the first counts in
    // the second week, with the 36 h; the 37 h and the 64 h in the third and the fourth. What was
    // before the first activity is not judged (F15).
    assert_eq!(of(MONDAY, &[46, 36, 37, 64, 46, 46, 46]), vec![]);
}

#[test]
fn us_property() {
    let us = |text: &str, expected: &[&str]| {
        check_from(MONDAY, "us-395-property", text, expected);
    };
    // 8 h of driving without 30 min: 395.3(a)(3)(ii).
    us("4:00 -0:29 4:00", &[]);
    us("4:00 -0:29 4:01", &["continuous_driving 8:01 8:00"]);
    us("4:00 -0:30 4:01", &[]);
    // 11 h after 10 h off: 395.3(a)(3)(i).
    us("5:30 -0:30 5:30 -10:00 5:30 -0:30 5:30", &[]);
    us("5:30 -0:30 5:31 -10:00", &["daily_driving 11:01 11:00"]);
    us(
        "5:30 -9:59 5:31", // one shift of 21:00
        &["daily_driving 11:01 11:00", "daily_duty 21:00 14:00"],
    );
    // None after the 14th hour, rests counted: 5:00 + 5:00 + 4:00; here 1:59 are no berth's rest.
    us("5:00 -1:59 1:00 -1:59 4:02", &[]);
    us(
        "5:00 -1:59 1:00 -1:59 1:00 -1:30 1:33",
        &["daily_duty 14:01 14:00"],
    );
    // 7:00 and 3:00 go together and neither is in the 14 h (395.1(g)): 4:00 + 4:00 before the
    // second, 4:00 + 4:00 from the end of the first. Of 7:00 and 2:59 that is not so: 4:00 + 7:00
    // + 4:00 + 2:59 + 4:00 = 21:59 and 12:00 driven.
    us("4:00 -7:00 4:00 -3:00 4:00 -10:00", &[]);
    us(
        "4:00 -7:00 4:00 -2:59 4:00",
        &["daily_driving 12:00 11:00", "daily_duty 21:59 14:00"],
    );
    // 70 h in 8 local days: 7 x 10:00 and a minute more on the eighth; 34 h off begin anew.
    let ten = "5:00 -1:00 5:00 -13:00";
    us(&format!("({ten})x7"), &[]);
    us(&format!("({ten})x7 0:01"), &["weekly_driving 70:01 70:00"]);
    us(
        &format!("({ten})x6 5:00 -1:00 5:00 -34:00 10:00"),
        &["continuous_driving 10:00 8:00"],
    );
}

#[test]
fn us_passengers() {
    let us = |text: &str, expected: &[&str]| {
        check_from(MONDAY, "us-395-passenger", text, expected);
    };
    // 10 h after 8 h off (395.5(a)); no break is asked for.
    us("10:00 -8:00 10:00", &[]);
    us("10:01 -8:00", &["daily_driving 10:01 10:00"]);
    us("5:00 -7:59 5:01", &["daily_driving 10:01 10:00"]);
    // 15 h on duty, of which driving is the lower bound: it cannot be seen before the 10 h are.
    us(
        "15:01",
        &["daily_driving 15:01 10:00", "daily_duty 15:01 15:00"],
    );
    // A rest of 34 h does not begin anew here: 7 x 10:00 in seven days, 34 h off, and on the
    // eighth day a minute.
    let ten = "10:00 -8:00";
    us(
        &format!("({ten})x7 -34:00 0:01"),
        &["weekly_driving 70:01 70:00"],
    );
}

#[test]
fn china() {
    // Monday 06:00 UTC is 14:00 in UTC+7, the zone of these cases.
    let cn = |text: &str, expected: &[&str]| check_from(MONDAY, "cn", text, expected);
    cn("4:00 -0:20 4:00", &[]);
    cn("4:01", &["continuous_driving 4:01 4:00"]);
    cn("2:00 -0:19 2:01", &["continuous_driving 4:01 4:00"]);
}

#[test]
fn china_by_night() {
    let cn = |start: &str, text: &str, expected: &[&str]| check_from(start, "cn", text, expected);
    // 15:00 UTC is 22:00 local, 22:00 UTC is 05:00.
    cn("2026-03-09T13:00:00Z", "4:00", &[]); // 20:00 to 24:00: 2:00 of the night
    cn(
        "2026-03-09T13:01:00Z",
        "4:00",
        &["continuous_driving/night 2:01 2:00"],
    );
    cn("2026-03-09T15:00:00Z", "2:00 -0:20 2:00", &[]);
    cn(
        "2026-03-09T15:00:00Z",
        "1:00 -0:19 1:01",
        &["continuous_driving/night 2:01 2:00"],
    );
    cn("2026-03-09T20:00:00Z", "4:00", &[]); // 03:00 to 07:00: 2:00 until 05:00
}

#[test]
fn china_in_24_hours_and_7_days() {
    // From 05:00 local (UTC+7), where the night has ended.
    let cn = |text: &str, expected: &[&str]| {
        check_from("2026-03-08T22:00:00Z", "cn", text, expected);
    };
    // 4:00 + 4:00 in 24 h, and the next 4:00 begin 24 h after the first: at no time more than 8:00.
    cn("4:00 -4:00 4:00 -12:00 4:00", &[]);
    // A minute earlier, 8:01 lie within 24 h for the whole of that driving.
    cn("4:00 -4:00 4:00 -11:59 4:00", &["daily_driving 8:01 8:00"]);
    // 5 x 8:00 and 4:00 are 44:00; 4:01 are too much.
    cn("(4:00 -4:00 4:00 -12:00)x5 4:00", &[]);
    cn(
        "(4:00 -4:00 4:00 -12:00)x5 4:00 -4:00 0:01",
        &["weekly_driving 44:01 44:00"],
    );
}

#[test]
fn coaches_stand_from_two_to_five() {
    // 36 km/h in fixes of 30 s from 01:50 to 02:20 local (UTC+7): 60 fixes, then at rest. 02:00 to
    // 02:20 are 1200 s of closed hours. A goods vehicle may drive.
    let run = |transport: &str| {
        let text = format!("plate,class,transport\n14C1,car_over_28_seats,{transport}\n");
        let registry = Registry::new(1, input::vehicles(&text).unwrap());
        let (network, law) = (
            Network::build(&registry),
            Library::built_in().law("cn", TimeZone::vietnam()).unwrap(),
        );
        let ctx = Context {
            registry: &registry,
            network: &network,
            profiles: &law,
        };
        let record = |n: i64| {
            let km = 0.3 * n.min(60) as f64;
            let position = Position::new(31.0 + km / 111.195, 121.0).unwrap();
            let waver = if n % 2 == 0 { 10 } else { -10 };
            let record = Record {
                speed: Some(Speed::from_centi(if n < 60 { 3600 + waver } else { 0 })),
                driver: DriverSaid::Licence(DRIVER.into()),
                ..Record::fix(at("2026-03-09T18:50:00Z").plus_millis(n * 30_000), position)
            };
            (SourceId::from("14C1"), record)
        };
        let records: Vec<_> = (0..70).map(record).collect();
        let whole = evaluate(records.clone(), &ctx, Timestamp::MAX).violations;
        // The data may end while it drives on.
        let cut = evaluate(records[..50].to_vec(), &ctx, Timestamp::MAX).violations;
        [whole, cut].map(|found| {
            let lines = found
                .iter()
                .map(|v| (v.kind.name(), v.start, v.end, v.open));
            lines.collect::<Vec<_>>()
        })
    };
    let closed = |end| {
        let start = at("2026-03-09T19:00:00Z");
        vec![("closed_hours", start, at(end), false)]
    };
    let [whole, cut] = run("tourist");
    assert_eq!(whole, closed("2026-03-09T19:20:00Z"));
    assert_eq!(cut, closed("2026-03-09T19:14:30Z"));
    assert_eq!(run("goods"), [vec![], vec![]]);
}
