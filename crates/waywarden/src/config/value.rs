//! Values of keys as they are written: durations with a unit, sizes with a unit, the rest as TOML.

use std::time::Duration;

/// A value as TOML has it, before its key says what it must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Whole(i64),
    Bool(bool),
    List(Vec<String>),
    /// Anything that no key takes, by its name.
    Other(&'static str),
}

/// What is wrong with a value, as the end of a sentence that names the key.
pub type Wrong = String;

impl Value {
    pub fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("must be text in quotes, not {}", other.kind())),
        }
    }

    pub fn bool(&self) -> Result<bool, Wrong> {
        match self {
            Self::Bool(b) => Ok(*b),
            other => Err(format!("must be true or false, not {}", other.kind())),
        }
    }

    pub fn list(&self) -> Result<&[String], Wrong> {
        match self {
            Self::List(list) => Ok(list),
            other => Err(format!("must be a list of texts, not {}", other.kind())),
        }
    }

    /// A whole number from `least` on that fits its type.
    pub fn number<T: TryFrom<i64>>(&self, least: i64) -> Result<T, Wrong> {
        let Self::Whole(n) = self else {
            return Err(format!("must be a whole number, not {}", self.kind()));
        };
        if *n < least {
            return Err(format!("is {n}, it must be at least {least}"));
        }
        T::try_from(*n).map_err(|_| format!("is {n}, which is too large"))
    }

    /// `"30s"`, `"5m"`, `"2h"`, `"15d"` or `"250ms"`, above zero.
    pub fn duration(&self) -> Result<Duration, Wrong> {
        let (n, unit) = self.split("a duration such as \"30s\" (ms, s, m, h, d)")?;
        let ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(format!("has the unit `{unit}`, not ms, s, m, h or d")),
        };
        match n.checked_mul(ms) {
            None => Err("is too long".to_owned()),
            Some(0) => Err("must be longer than nothing".to_owned()),
            Some(ms) => Ok(Duration::from_millis(ms)),
        }
    }

    /// `"512B"`, `"64KiB"`, `"32MiB"` or `"1GiB"`.
    pub fn size(&self) -> Result<u64, Wrong> {
        let (n, unit) = self.split("a size such as \"64MiB\" (B, KiB, MiB, GiB)")?;
        let bytes = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(format!("has the unit `{unit}`, not B, KiB, MiB or GiB")),
        };
        n.checked_mul(1 << bytes)
            .ok_or_else(|| "is too large".to_owned())
    }

    fn split(&self, like: &str) -> Result<(u64, &str), Wrong> {
        let must = || format!("must be {like}");
        let Self::Text(text) = self else {
            return Err(must());
        };
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let number = text[..end].parse().map_err(|_| must())?;
        Ok((number, text[end..].trim()))
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Whole(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

/// As [`Value::duration`] reads it, in the largest unit that says it whole.
pub fn show_duration(d: Duration) -> String {
    let ms = d.as_millis();
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    let whole = units
        .iter()
        .find(|(_, n)| ms >= *n && ms.is_multiple_of(*n));
    match whole {
        Some((unit, n)) => format!("\"{}{unit}\"", ms / n),
        None => format!("\"{ms}ms\""),
    }
}

/// As [`Value::size`] reads it.
pub fn show_size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let whole = units
        .iter()
        .find(|(_, n)| bytes >= *n && bytes.is_multiple_of(*n));
    match whole {
        Some((unit, n)) => format!("\"{}{unit}\"", bytes / n),
        None => format!("\"{bytes}B\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back() {
        for ms in [
            1,
            250,
            1000,
            61_000,
            90_000,
            3_600_000,
            5_400_000,
            86_400_000,
            345_600_000,
        ] {
            let shown = show_duration(Duration::from_millis(ms));
            let read = Value::Text(shown.trim_matches('"').to_owned()).duration();
            assert_eq!(read, Ok(Duration::from_millis(ms)), "{shown}");
        }
        for bytes in [0, 1, 1000, 1024, 1536, 32 << 20, 1 << 30] {
            let shown = show_size(bytes);
            let read = Value::Text(shown.trim_matches('"').to_owned()).size();
            assert_eq!(read, Ok(bytes), "{shown}");
        }
    }

    #[test]
    fn what_makes_no_sense_says_what_would() {
        let text = |t: &str| Value::Text(t.to_owned());
        for (wrong, says) in [
            (text("30").duration().unwrap_err(), "unit ``"),
            (text("30 parsecs").duration().unwrap_err(), "`parsecs`"),
            (text("0s").duration().unwrap_err(), "longer than nothing"),
            (text("s").duration().unwrap_err(), "such as \"30s\""),
            (Value::Whole(30).duration().unwrap_err(), "such as \"30s\""),
            (
                text("99999999999999999999GiB").size().unwrap_err(),
                "a size such as",
            ),
            (
                text("99999999999999999GiB").size().unwrap_err(),
                "too large",
            ),
            (text("64MB").size().unwrap_err(), "`MB`"),
            (Value::Whole(0).number::<u32>(1).unwrap_err(), "at least 1"),
            (
                Value::Whole(1 << 40).number::<u32>(1).unwrap_err(),
                "too large",
            ),
            (Value::Other("a table").bool().unwrap_err(), "not a table"),
        ] {
            assert!(wrong.contains(says), "{wrong} / {says}");
        }
    }
}
