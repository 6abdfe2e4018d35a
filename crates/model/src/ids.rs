//! Identifiers. Cheap to clone; compared and hashed by content.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier!(
    /// A device (its IMEI or phone number as the register spells it), or a provider's feed of one
    /// plate. The unit of order, of partitioning and of state.
    SourceId
);
identifier!(
    /// Internal id of a vehicle; plates are dated names of it.
    VehicleId
);
identifier!(
    /// Number of the driving licence, or `card:<id>` for a card that nobody registered.
    DriverId
);
identifier!(
    /// Tax code of a transport operator.
    OperatorId
);
identifier!(
    /// What a reader of cards or keys reported (iButton, RFID): not a licence number.
    CardId
);

impl CardId {
    /// As registers spell it: serial numbers are hexadecimal, and readers differ in the case.
    #[must_use]
    pub fn spelled(&self) -> Self {
        if self.0.bytes().any(|b| b.is_ascii_lowercase()) {
            Self::new(self.0.to_ascii_uppercase())
        } else {
            self.clone()
        }
    }
}

/// A number plate, normalised: upper case, without `-`, `.` and white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Plate(Arc<str>);

impl Plate {
    pub fn new(text: &str) -> Self {
        let normal: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | '.') && !c.is_whitespace())
            .flat_map(char::to_uppercase)
            .collect();
        Self(normal.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Plate {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Plate> for String {
    fn from(p: Plate) -> Self {
        p.0.as_ref().to_owned()
    }
}

impl fmt::Display for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whom a violation, a driving period or a recomputation is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What one source's records show: speed, route, gaps.
    Source(SourceId),
    /// What a driver did, over all vehicles.
    Driver(DriverId),
    /// What was driven in a vehicle while no driver was known (reading D13).
    Vehicle(VehicleId),
}

impl Subject {
    /// Stable text form, `source:…`, `driver:…`, `vehicle:…`; part of a violation's identity.
    pub fn key(&self) -> String {
        match self {
            Self::Source(s) => format!("source:{s}"),
            Self::Driver(d) => format!("driver:{d}"),
            Self::Vehicle(v) => format!("vehicle:{v}"),
        }
    }

    /// The inverse of [`Subject::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        let (kind, id) = key.split_once(':')?;
        match kind {
            "source" => Some(Self::Source(id.into())),
            "driver" => Some(Self::Driver(id.into())),
            "vehicle" => Some(Self::Vehicle(id.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_are_normalised() {
        assert_eq!(Plate::new("14c-123.45 ").as_str(), "14C12345");
    }

    #[test]
    fn subject_keys_round_trip() {
        let s = Subject::Driver("card:0A:1B".into());
        assert_eq!(Subject::from_key(&s.key()), Some(s));
    }
}
