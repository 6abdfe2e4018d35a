//! A profile's content as a number: two workers that judge by the same have the same. Comments, the
//! order of keys and the way numbers are laid out are no content.

use super::{Profile, Profiles};
use toml::Value;
use waywarden_model::hash::bytes_hash;
use waywarden_model::registry::Validity;

/// Hash of a text that was read as a profile.
pub(super) fn of(text: &str) -> u64 {
    let value: toml::Table = toml::from_str(text).unwrap_or_default();
    let mut out = Vec::new();
    put(&Value::Table(value), &mut out);
    bytes_hash(&out)
}

/// Each value with its kind and its length, so that no two say the same by standing side by side.
fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Table(table) => {
            let mut rows: Vec<_> = table.iter().collect();
            rows.sort_by_key(|(key, _)| *key);
            head(b't', rows.len(), out);
            for (key, value) in rows {
                text(b'k', key, out);
                put(value, out);
            }
        }
        Value::Array(values) => {
            head(b'a', values.len(), out);
            values.iter().for_each(|v| put(v, out));
        }
        Value::String(s) => text(b's', s, out),
        Value::Integer(n) => text(b'i', &n.to_string(), out),
        Value::Float(x) => text(b'f', &x.to_bits().to_string(), out),
        Value::Boolean(b) => text(b'b', &b.to_string(), out),
        Value::Datetime(t) => text(b'd', &t.to_string(), out),
    }
}

fn head(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend((length as u64).to_le_bytes());
}

fn text(kind: u8, text: &str, out: &mut Vec<u8>) {
    head(kind, text.len(), out);
    out.extend(text.as_bytes());
}

impl Profiles {
    /// Hash of all that is judged by: the profiles' content, their dates, and the zone of the local
    /// days.
    pub fn content(&self) -> u64 {
        let mut out = Vec::new();
        text(b'z', self.zone().name(), &mut out);
        for profile in self.iter() {
            let Profile {
                content,
                validity: Validity { from, until },
                ..
            } = **profile;
            out.extend(content.to_le_bytes());
            out.extend(from.millis().to_le_bytes());
            out.extend(until.millis().to_le_bytes());
        }
        bytes_hash(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Library;
    use waywarden_model::TimeZone;

    fn law(change: impl Fn(&str) -> String) -> u64 {
        let library = Library::built_in();
        let text = change(&library.get("cn").unwrap().text);
        let profile = Profile::parse("cn", &text).unwrap();
        Profiles::only(TimeZone::vietnam(), profile).content()
    }

    #[test]
    fn the_same_law_is_the_same_number_however_it_is_written() {
        let as_built_in = law(str::to_owned);
        let commented = law(|t| format!("# ours\n\n{}", t.replace(" = ", "   =  ")));
        assert_eq!(commented, as_built_in);
        let (one, other) = ("hold_s = 20", "hold_strictly = false");
        let turned = law(|t| {
            let pair = format!("{one}\n{other}");
            assert!(t.contains(&pair));
            t.replace(&pair, &format!("{other}\n{one}"))
        });
        assert_eq!(turned, as_built_in);
    }

    #[test]
    fn another_number_date_or_zone_is_another_law() {
        let as_built_in = law(str::to_owned);
        assert_ne!(
            law(|t| t.replace("hold_s = 20", "hold_s = 21")),
            as_built_in
        );
        let library = Library::built_in();
        let of = |name: &str, zone| library.law(name, zone).unwrap().content();
        let here = TimeZone::vietnam;
        assert_eq!(of("cn", here()), as_built_in);
        assert_ne!(of("cn", TimeZone::utc()), as_built_in);
        assert_ne!(of("eu-561", here()), as_built_in);
        // One profile for all times is not the regime by its dates.
        assert_ne!(of("vn", here()), of("vn-118-2025", here()));
    }
}
