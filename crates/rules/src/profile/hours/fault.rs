//! What numbers of the sections on hours must be.

use super::{
    Breaks, Clock, Closed, Cycle, DailyRest, Hours, Night, Rolling, Shift, WeeklyRest, Weeks,
};

/// A number that cannot be: its key, its value, what it must be.
pub(in crate::profile) type Fault = (&'static str, String, &'static str);

const DAY_S: i64 = 86_400;
const WEEK_S: i64 = 7 * DAY_S;

/// Holds, or is a fault.
#[allow(clippy::needless_pass_by_value)] // numbers and texts alike, shown only on failure
fn must(holds: bool, key: &'static str, value: impl ToString, what: &'static str) -> Option<Fault> {
    (!holds).then(|| (key, value.to_string(), what))
}

fn within(key: &'static str, s: i64, most: i64, what: &'static str) -> Option<Fault> {
    must((1..=most).contains(&s), key, s, what)
}

impl Hours {
    /// The first number that cannot be.
    pub(in crate::profile) fn fault(&self) -> Option<Fault> {
        self.breaks
            .as_ref()
            .and_then(Breaks::fault)
            .or_else(|| self.night.as_ref().and_then(Night::fault))
            .or_else(|| self.shift.as_ref().and_then(Shift::fault))
            .or_else(|| self.daily_rest.as_ref().and_then(DailyRest::fault))
            .or_else(|| self.weekly_rest.as_ref().and_then(WeeklyRest::fault))
            .or_else(|| self.weeks.as_ref().and_then(Weeks::fault))
            .or_else(|| self.rolling_fault())
            .or_else(|| self.cycle.as_ref().and_then(Cycle::fault))
            .or_else(|| self.closed.as_ref().and_then(Closed::fault))
            .or_else(|| self.shared_fault())
    }

    fn rolling_fault(&self) -> Option<Fault> {
        let twice = self
            .rolling
            .iter()
            .enumerate()
            .any(|(n, r)| self.rolling[..n].iter().any(|o| o.kind == r.kind));
        must(!twice, "hours.rolling", "a kind twice", "one of a kind")
            .or_else(|| self.rolling.iter().find_map(Rolling::fault))
    }

    /// What sections ask of each other.
    fn shared_fault(&self) -> Option<Fault> {
        let daily = self.daily_rest.as_ref()?;
        let ends = self.shift.as_ref().map_or(0, |s| s.rest_s);
        must(
            daily.reduced_s == ends,
            "hours.daily_rest.reduced_s",
            daily.reduced_s,
            "hours.shift.rest_s",
        )
    }
}

impl Breaks {
    fn fault(&self) -> Option<Fault> {
        let key = "hours.breaks.patterns";
        let parts = self.patterns.iter().all(|p| !p.is_empty());
        let one = self.patterns.iter().any(|p| p.len() == 1);
        must(
            parts && one,
            key,
            "without a break",
            "breaks of parts, one of them in one part",
        )
        .or_else(|| {
            let mut all = self.patterns.iter().flatten();
            all.find_map(|s| within(key, *s, DAY_S, "parts of 1 to 86400 s"))
        })
    }
}

impl Night {
    fn fault(&self) -> Option<Fault> {
        let key = "hours.night.continuous_s";
        within(key, self.continuous_s, DAY_S, "1 to 86400")
            .or_else(|| apart("hours.night.until", self.from, self.until))
    }
}

fn apart(key: &'static str, from: Clock, until: Clock) -> Option<Fault> {
    must(from != until, key, "the same", "another time than from")
}

impl Shift {
    fn fault(&self) -> Option<Fault> {
        let longer = |key, s: Option<i64>| {
            let s = s?;
            must(
                (self.driving_s..=WEEK_S).contains(&s),
                key,
                s,
                "at least hours.shift.driving_s and at most a week",
            )
        };
        let extended = self.extended_s.is_some() == (self.extended_per_week > 0);
        within("hours.shift.rest_s", self.rest_s, WEEK_S, "1 to 604800")
            .or_else(|| {
                within(
                    "hours.shift.driving_s",
                    self.driving_s,
                    WEEK_S,
                    "1 to 604800",
                )
            })
            .or_else(|| longer("hours.shift.extended_s", self.extended_s))
            .or_else(|| {
                must(
                    extended,
                    "hours.shift.extended_per_week",
                    self.extended_per_week,
                    "greater than 0 with extended_s, and 0 without",
                )
            })
            .or_else(|| longer("hours.shift.window_s", self.window_s))
            .or_else(|| longer("hours.shift.duty_s", self.duty_s))
            .or_else(|| {
                let [long, short] = self.split_s?;
                let fits = 0 < short && short <= long && long < self.rest_s;
                must(
                    fits,
                    "hours.shift.split_s",
                    format!("{long} and {short}"),
                    "the longer and the shorter, both below hours.shift.rest_s",
                )
            })
    }
}

impl DailyRest {
    fn fault(&self) -> Option<Fault> {
        let [first, second] = self.split_s;
        within(
            "hours.daily_rest.window_s",
            self.window_s,
            WEEK_S,
            "1 to 604800",
        )
        .or_else(|| {
            within(
                "hours.daily_rest.reduced_s",
                self.reduced_s,
                self.regular_s,
                "greater than 0 and at most regular_s",
            )
        })
        .or_else(|| {
            within(
                "hours.daily_rest.regular_s",
                self.regular_s,
                self.window_s,
                "at most window_s",
            )
        })
        .or_else(|| {
            let fits = 0 < first && first < self.reduced_s && second >= self.reduced_s;
            must(
                fits,
                "hours.daily_rest.split_s",
                format!("{first} and {second}"),
                "a part below reduced_s, then one that is not",
            )
        })
    }
}

impl WeeklyRest {
    fn fault(&self) -> Option<Fault> {
        within(
            "hours.weekly_rest.reduced_s",
            self.reduced_s,
            self.regular_s,
            "greater than 0 and at most regular_s",
        )
        .or_else(|| {
            // So that a rest that touches three weeks is long enough for one in each of them.
            within(
                "hours.weekly_rest.regular_s",
                self.regular_s,
                WEEK_S / 3,
                "at most 201600",
            )
        })
        .or_else(|| {
            within(
                "hours.weekly_rest.within_s",
                self.within_s,
                4 * WEEK_S,
                "1 to 2419200",
            )
        })
        .or_else(|| {
            let weeks = self.compensate_weeks;
            must(
                (1..=8).contains(&weeks),
                "hours.weekly_rest.compensate_weeks",
                weeks,
                "1 to 8",
            )
        })
    }
}

impl Weeks {
    fn fault(&self) -> Option<Fault> {
        let two = self.two_s?;
        within("hours.weeks.two_s", two, 2 * WEEK_S, "1 to 1209600")
    }
}

impl Rolling {
    fn fault(&self) -> Option<Fault> {
        let most = 2 * WEEK_S;
        within(
            "hours.rolling.within_s",
            self.within_s,
            most,
            "1 to 1209600",
        )
        .or_else(|| {
            within(
                "hours.rolling.driving_s",
                self.driving_s,
                self.within_s,
                "greater than 0 and at most within_s",
            )
        })
    }
}

impl Cycle {
    fn fault(&self) -> Option<Fault> {
        let most = i64::from(self.days) * DAY_S;
        must(
            (1..=31).contains(&self.days),
            "hours.cycle.days",
            self.days,
            "1 to 31",
        )
        .or_else(|| {
            within(
                "hours.cycle.driving_s",
                self.driving_s,
                most,
                "at most its days",
            )
        })
        .or_else(|| {
            let least = DAY_S;
            let fits = (least..=4 * WEEK_S).contains(&self.restart_s);
            must(
                fits,
                "hours.cycle.restart_s",
                self.restart_s,
                "86400 to 2419200",
            )
        })
    }
}

impl Closed {
    fn fault(&self) -> Option<Fault> {
        apart("hours.closed.until", self.from, self.until).or_else(|| {
            let named = !self.transports.is_empty();
            must(
                named,
                "hours.closed.for",
                "empty",
                "at least one kind of transport",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::{Library, Profile};

    #[test]
    fn what_is_wrong_is_named() {
        let library = Library::built_in();
        for (name, from, to, error) in [
            (
                "eu-561",
                "[[2700], [900, 1800]]",
                "[[900, 1800]]",
                "patterns is without a break",
            ),
            (
                "eu-561",
                "[[2700], [900, 1800]]",
                "[[2700], [0]]",
                "patterns is 0, it must be parts",
            ),
            (
                "eu-561",
                "extended_per_week = 2",
                "",
                "extended_per_week is 0, it must be greater",
            ),
            (
                "eu-561",
                "rest_s = 32400",
                "rest_s = 30000",
                "reduced_s is 32400, it must be hours.",
            ),
            (
                "eu-561",
                "regular_s = 39600",
                "regular_s = 90000",
                "regular_s is 90000, it must be at",
            ),
            (
                "eu-561",
                "[10800, 32400]",
                "[32400, 10800]",
                "split_s is 32400 and 10800",
            ),
            (
                "eu-561",
                "regular_s = 162000",
                "regular_s = 302400",
                "regular_s is 302400, it must be",
            ),
            (
                "eu-561",
                "compensate_weeks = 3",
                "compensate_weeks = 0",
                "compensate_weeks is 0",
            ),
            (
                "eu-561",
                "zone = \"utc\"",
                "zone = \"mars\"",
                "unknown variant `mars`",
            ),
            (
                "eu-561",
                "two_s = 324000",
                "two = 90",
                "unknown field `two`",
            ),
            (
                "us-395-property",
                "[25200, 7200]",
                "[36000, 7200]",
                "split_s is 36000 and 7200",
            ),
            (
                "us-395-property",
                "window_s = 50400",
                "window_s = 3600",
                "window_s is 3600, it must",
            ),
            (
                "us-395-property",
                "days = 8 ",
                "days = 0 ",
                "cycle.days is 0, it must be 1 to 31",
            ),
            (
                "us-395-property",
                "restart_s = 122400",
                "restart_s = 0",
                "restart_s is 0",
            ),
            (
                "us-395-passenger",
                "duty_s = 54000",
                "duty_s = 1",
                "duty_s is 1, it must be at least",
            ),
            (
                "cn",
                "from = \"22:00\"",
                "from = \"24:00\"",
                "`24:00` is no time of day",
            ),
            (
                "cn",
                "until = \"05:00\"",
                "until = \"5:00\"",
                "`5:00` is no time of day",
            ),
            (
                "cn",
                "from = \"22:00\"",
                "from = \"05:00\"",
                "night.until is the same",
            ),
            (
                "cn",
                "kind = \"weekly_driving\"",
                "kind = \"daily_driving\"",
                "a kind twice",
            ),
            (
                "cn",
                "driving_s = 28800",
                "driving_s = 90000",
                "rolling.driving_s is 90000",
            ),
            (
                "cn",
                "\"tourist\"]",
                "\"coach\"]",
                "unknown variant `coach`",
            ),
        ] {
            let good = &library.get(name).unwrap().text;
            assert!(good.contains(from), "{name} has no {from}");
            let text = Profile::parse("p", &good.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(text.contains(error), "{from}: {text}");
        }
    }
}
