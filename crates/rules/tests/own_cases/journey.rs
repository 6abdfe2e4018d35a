//! A journey written down record by record.
//!
//! Vehicles drive north along the meridian of 107 degrees, where 1 km is 1 / 111.1949 degree of
//! latitude (R = 6371 km). Speeds alternate by 0.1 km/h around the value named, so that the filter
//! for frozen speeds (A6) stays out of it; the mean of two of them is the value itself.

use std::sync::Arc;
use waywarden_model::registry::{Registers, Registry, Route, Stop, Validity, Zone};
use waywarden_model::{
    DriverSaid, Kind, Position, Record, RecordKind, SourceId, Speed, Timestamp, Violation,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate, input};
use waywarden_rules::{Context, Profiles};

pub const KM_PER_DEGREE: f64 = 111.194_926_645;
pub const FIRST: &str = "220000000001";
pub const SECOND: &str = "220000000002";

/// Writes down a journey record by record.
pub struct Journey {
    pub t: Timestamp,
    pub km: f64,
    east_m: f64,
    driver: DriverSaid,
    pub records: Vec<Record>,
}

impl Journey {
    pub fn from(time: &str) -> Self {
        Self {
            t: at(time),
            km: 0.0,
            east_m: 0.0,
            driver: licence(FIRST),
            records: Vec::new(),
        }
    }

    pub fn place(&self) -> Position {
        let lat = 21.0 + self.km / KM_PER_DEGREE;
        let east = self.east_m / 1000.0 / KM_PER_DEGREE / lat.to_radians().cos();
        Position::new(lat, 107.0 + east).unwrap()
    }

    pub fn fix(&mut self, centi: i32) {
        self.records.push(Record {
            speed: Some(Speed::from_centi(centi)),
            driver: self.driver.clone(),
            ..Record::fix(self.t, self.place())
        });
    }

    /// `n` records every `every` seconds at `kmh`, each followed by the way to the next.
    pub fn drive(&mut self, kmh: i32, n: usize, every: i64) -> &mut Self {
        for i in 0..n {
            self.fix(kmh * 100 + if i % 2 == 0 { 10 } else { -10 });
            self.wait(every);
            self.km += f64::from(kmh) * every as f64 / 3600.0;
        }
        self
    }

    /// `n` records every 30 s at a standstill.
    pub fn park(&mut self, n: usize) -> &mut Self {
        for _ in 0..n {
            self.fix(0);
            self.wait(30);
        }
        self
    }

    pub fn wait(&mut self, s: i64) -> &mut Self {
        self.t = self.t.plus_millis(s * 1000);
        self
    }

    pub fn off_by(&mut self, metres: f64) -> &mut Self {
        self.east_m = metres;
        self
    }

    pub fn driver(&mut self, said: DriverSaid) -> &mut Self {
        self.driver = said;
        self
    }

    pub fn card(&mut self, kind: RecordKind, said: DriverSaid) -> &mut Self {
        self.records.push(Record {
            driver: said,
            ..Record::status(self.t).of_kind(kind)
        });
        self.wait(1)
    }

    pub fn judge(&self, vehicle: &str) -> Evaluation {
        self.judge_with(vehicle, |_| {})
    }

    pub fn judge_with(&self, vehicle: &str, more: impl FnOnce(&mut Registers)) -> Evaluation {
        let text = format!("plate,class,transport,route\n14C1,{vehicle}\n");
        let mut registers = input::vehicles(&text).unwrap();
        more(&mut registers);
        let registry = Registry::new(1, registers);
        let (network, profiles) = (Network::build(&registry), Profiles::vietnam());
        let ctx = Context {
            registry: &registry,
            network: &network,
            profiles: &profiles,
        };
        let source = SourceId::from("14C1");
        let records = self.records.iter().map(|r| (source.clone(), r.clone()));
        evaluate(records.collect::<Vec<_>>(), &ctx, Timestamp::MAX)
    }
}

pub fn at(time: &str) -> Timestamp {
    Timestamp::parse_rfc3339(time).unwrap()
}

pub fn licence(id: &str) -> DriverSaid {
    DriverSaid::Licence(id.into())
}

pub const GOODS: &str = "truck_over_3_5t,goods,";
pub const TAXI: &str = "car_up_to_28_seats,taxi,";
pub const COACH: &str = "car_over_28_seats,fixed_route,R1";

/// (kind, duration in seconds) of what was found.
pub fn found(e: &Evaluation) -> Vec<(Kind, i64)> {
    let short = |v: &Violation| (v.kind, v.duration_ms / 1000);
    e.violations.iter().map(short).collect()
}

/// Straight along the meridian for 60 km; the terminal is its southern end, with 500 m around it.
pub fn route() -> Route {
    let p = |km: f64| Position::new(21.0 + km / KM_PER_DEGREE, 107.0).unwrap();
    Route {
        id: Arc::from("R1"),
        name: "R1".into(),
        line: vec![p(0.0), p(60.0)],
        half_width_m: 100.0,
        stops: vec![Stop {
            name: "south".into(),
            position: p(0.0),
            radius_m: 500.0,
            terminal: true,
        }],
        validity: Validity::ALWAYS,
    }
}

/// A box over the whole road between two kilometre stones.
pub fn zone(id: &str, kmh: i32, from_km: f64, to_km: f64) -> Zone {
    let p = |km: f64, lon: f64| Position::new(21.0 + km / KM_PER_DEGREE, lon).unwrap();
    let (w, e) = (106.99, 107.01);
    let ring = vec![
        p(from_km, w),
        p(from_km, e),
        p(to_km, e),
        p(to_km, w),
        p(from_km, w),
    ];
    Zone {
        id: id.into(),
        name: id.into(),
        polygons: vec![vec![ring]],
        limit: Some(Speed::from_kmh(kmh)),
        setting: None,
        ban: None,
        validity: Validity::ALWAYS,
    }
}
