//! Who must not drive in a zone, when, and in which direction.

use super::Class;
use crate::units::Course;
use serde::{Deserialize, Serialize};

/// Largest angle between the heading and a direction that it still goes in, 0.01 degree.
const WITHIN: u16 = 4_500;

/// What a zone forbids. A guess must not accuse: it does not concern a vehicle of unknown class
/// where classes are named, nor one of unknown heading where a direction is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ban {
    /// None named: every vehicle.
    pub classes: Vec<Class>,
    /// None named: at all hours.
    pub hours: Vec<Hours>,
    /// Direction of travel that is forbidden; None: every one.
    pub direction: Option<Course>,
}

/// Minutes of the local day, 0 to 1440: `from` (inclusive) to `until` (exclusive); where `until`
/// comes first, over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hours {
    pub from: u16,
    pub until: u16,
}

impl Ban {
    pub fn concerns(&self, class: Option<Class>) -> bool {
        self.classes.is_empty() || class.is_some_and(|c| self.classes.contains(&c))
    }

    /// Whether it holds at this second of the local day.
    pub fn at(&self, second_of_day: u32) -> bool {
        self.hours.is_empty() || self.hours.iter().any(|h| h.hold_at(second_of_day))
    }

    pub fn heading(&self, course: Option<Course>) -> bool {
        let Some(direction) = self.direction else {
            return true;
        };
        course.is_some_and(|c| c.angle_to(direction) <= WITHIN)
    }
}

impl Hours {
    fn hold_at(self, second_of_day: u32) -> bool {
        let (from, until) = (u32::from(self.from) * 60, u32::from(self.until) * 60);
        if from < until {
            (from..until).contains(&second_of_day)
        } else {
            second_of_day >= from || second_of_day < until
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_edges_and_may_go_over_midnight() {
        let at = |from, until, hour: u32, second: u32| {
            let hours = vec![Hours { from, until }];
            let ban = Ban {
                hours,
                ..Ban::default()
            };
            ban.at(hour * 3600 + second)
        };
        for (hour, second, morning, night) in [
            (6, 0, true, false),
            (8, 59, true, false),
            (9, 0, false, false),
            (21, 3599, false, false),
            (22, 0, false, true),
            (0, 0, false, true),
            (4, 3599, false, true),
            (5, 0, false, false),
        ] {
            assert_eq!(at(360, 540, hour, second), morning, "{hour}:{second}");
            assert_eq!(at(1320, 300, hour, second), night, "{hour}:{second}");
        }
        assert!(at(0, 1440, 23, 3599), "a whole day");
        assert!(Ban::default().at(0), "no hours are all hours");
    }

    #[test]
    fn a_guess_does_not_accuse() {
        let lorries = Ban {
            classes: vec![Class::TruckOver3_5t, Class::Tanker],
            direction: Course::from_degrees(350.0),
            ..Ban::default()
        };
        assert!(lorries.concerns(Some(Class::Tanker)));
        assert!(!lorries.concerns(Some(Class::Bus)) && !lorries.concerns(None));
        assert!(lorries.heading(Course::from_degrees(35.0)));
        assert!(!lorries.heading(Course::from_degrees(35.1)));
        assert!(!lorries.heading(None));
        assert!(Ban::default().concerns(None) && Ban::default().heading(None));
    }
}
