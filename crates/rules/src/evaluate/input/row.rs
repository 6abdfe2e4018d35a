//! A line of input as it says itself, and the record that it is.

use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use waywarden_model::{
    Course, DriverId, DriverSaid, Plate, Position, Record, SourceId, Speed, Timestamp,
};

/// The fields of a line; a field that is empty is not there.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    pub vehicle: Option<Text<'a>>,
    pub device: Option<Text<'a>>,
    pub time: Option<Text<'a>>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub speed_kmh: Option<f64>,
    pub course_deg: Option<f64>,
    pub ignition: Option<bool>,
    pub driver_id: Option<Text<'a>>,
    pub odometer_m: Option<u64>,
    pub door: Option<bool>,
}

/// Text of the input itself, or a copy where it was written with escapes.
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_str(Either)
    }
}

/// Names that lines give again and again: each is made once.
#[derive(Default)]
pub(super) struct Names {
    vehicles: HashMap<Box<str>, SourceId>,
    devices: HashMap<Box<str>, SourceId>,
    drivers: HashMap<Box<str>, DriverId>,
}

fn named<T: Clone>(known: &mut HashMap<Box<str>, T>, text: &str, make: fn(&str) -> T) -> T {
    if let Some(name) = known.get(text) {
        return name.clone();
    }
    let name = make(text);
    known.insert(text.into(), name.clone());
    name
}

impl Row<'_> {
    pub fn record(&self, names: &mut Names) -> Result<(SourceId, Record), String> {
        fn missing(column: &str) -> impl FnOnce() -> String {
            move || format!("`{column}` is not given")
        }
        let source = match (&self.device, &self.vehicle) {
            (Some(device), _) => named(&mut names.devices, &device.0, |text| SourceId::from(text)),
            (None, Some(vehicle)) => named(&mut names.vehicles, &vehicle.0, |text| {
                SourceId::from(Plate::new(text).as_str())
            }),
            (None, None) => return Err("neither `vehicle` nor `device` is given".to_owned()),
        };
        let time = self.time.as_ref().ok_or_else(missing("time"))?;
        let time = Timestamp::parse_rfc3339(&time.0).map_err(|e| format!("`time`: {e}"))?;
        let lat = self.lat.ok_or_else(missing("lat"))?;
        let lon = self.lon.ok_or_else(missing("lon"))?;
        let position = Position::new(lat, lon)
            .ok_or_else(|| format!("{lat}, {lon} is no place on the globe"))?;
        let driver = match &self.driver_id {
            Some(id) if !id.0.is_empty() => {
                DriverSaid::Licence(named(&mut names.drivers, &id.0, |text| {
                    DriverId::from(text)
                }))
            }
            _ => DriverSaid::Nobody,
        };
        let record = Record {
            speed: self.speed_kmh.map(Speed::from_kmh_f64),
            course: self.course_deg.and_then(Course::from_degrees),
            ignition: self.ignition,
            door: self.door,
            odometer_m: self.odometer_m,
            driver,
            ..Record::fix(time, position)
        };
        Ok((source, record))
    }
}
