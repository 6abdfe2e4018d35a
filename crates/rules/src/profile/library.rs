//! The profiles at hand: the law as it is built in, and an operator's own beside or instead.

use super::{Profile, ProfileError, Profiles};
use waywarden_model::TimeZone;

const BUILT_IN: [(&str, &str); 7] = [
    ("vn-tt09", include_str!("../../profiles/vn-tt09.toml")),
    ("vn-36-2024", include_str!("../../profiles/vn-36-2024.toml")),
    (
        "vn-118-2025",
        include_str!("../../profiles/vn-118-2025.toml"),
    ),
    ("eu-561", include_str!("../../profiles/eu-561.toml")),
    (
        "us-395-property",
        include_str!("../../profiles/us-395-property.toml"),
    ),
    (
        "us-395-passenger",
        include_str!("../../profiles/us-395-passenger.toml"),
    ),
    ("cn", include_str!("../../profiles/cn.toml")),
];

/// A profile with the text that it was read from.
#[derive(Debug, Clone)]
pub struct Entry {
    pub profile: Profile,
    pub text: String,
    /// The file it came from; None: built in.
    pub file: Option<String>,
}

/// All profiles that can be judged by, each under its own name.
#[derive(Debug, Clone)]
pub struct Library(Vec<Entry>);

impl Library {
    pub fn built_in() -> Self {
        let read = |(name, text): (&str, &str)| Entry {
            profile: Profile::parse(name, text).expect("built in, held by a test"),
            text: text.to_owned(),
            file: None,
        };
        Self(BUILT_IN.into_iter().map(read).collect())
    }

    /// Adds an operator's own profile. Under the name of a built-in one it takes its place, with
    /// another version: a violation names the profile and its version, which say what it was
    /// judged by.
    ///
    /// # Errors
    /// What [`Profile::parse`] refuses; a name that another file has; another content under the
    /// built-in one's name and version.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), ProfileError> {
        let profile = Profile::parse(file, text)?;
        let entry = Entry {
            profile,
            text: text.to_owned(),
            file: Some(file.to_owned()),
        };
        let name = &entry.profile.id.name;
        let Some(old) = self.0.iter_mut().find(|e| e.profile.id.name == *name) else {
            self.0.push(entry);
            return Ok(());
        };
        let another = || ProfileError::Twice {
            name: name.to_string(),
            version: entry.profile.id.version,
            file: old.file.clone().unwrap_or_else(|| "the program".to_owned()),
        };
        // Written in another way it is the same all the same.
        let same = Profile {
            content: old.profile.content,
            ..entry.profile.clone()
        } == old.profile;
        if old.file.is_some() || (old.profile.id == entry.profile.id && !same) {
            return Err(another());
        }
        *old = entry;
        Ok(())
    }

    /// What a name means: a regime, whose profiles follow each other by their dates, or one
    /// profile for all times.
    ///
    /// # Errors
    /// A name that there is not; profiles of a regime with a gap or an overlap between them.
    pub fn law(&self, name: &str, zone: TimeZone) -> Result<Profiles, ProfileError> {
        let profiles = || self.0.iter().map(|e| &e.profile);
        let regime: Vec<Profile> = profiles().filter(|p| p.regime == name).cloned().collect();
        match regime.len() {
            0 => {}
            1 => return Ok(Profiles::only(zone, regime[0].clone())),
            _ => return Profiles::new(zone, regime),
        }
        let one = profiles().find(|p| &*p.id.name == name);
        one.map(|p| Profiles::only(zone, p.clone()))
            .ok_or_else(|| ProfileError::Unknown {
                name: name.to_owned(),
                known: self.names().join(", "),
            })
    }

    /// Checks that the profiles of each regime follow one another.
    ///
    /// # Errors
    /// A gap or an overlap between the dates of two.
    pub fn check(&self) -> Result<(), ProfileError> {
        let regimes = self.0.iter().map(|e| e.profile.regime.as_str());
        let regimes: std::collections::BTreeSet<&str> = regimes.collect();
        regimes
            .into_iter()
            .try_for_each(|r| self.law(r, TimeZone::utc()).map(drop))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|e| &*e.profile.id.name == name)
    }

    /// Names that [`Library::law`] knows: regimes of several profiles, and every profile.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for entry in &self.0 {
            for name in [entry.profile.regime.as_str(), &entry.profile.id.name] {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::Timestamp;

    fn own(name: &str, from: &str, to: &str) -> String {
        let library = Library::built_in();
        library.get(name).unwrap().text.replace(from, to)
    }

    #[test]
    fn a_name_is_a_regime_or_a_profile_for_all_times() {
        let library = Library::built_in();
        let at = |name: &str, t: &str| {
            let law = library.law(name, TimeZone::vietnam()).unwrap();
            let t = Timestamp::parse_rfc3339(t).unwrap();
            law.at(t).id.name.to_string()
        };
        assert_eq!(at("vn", "2025-06-01T00:00:00Z"), "vn-36-2024");
        assert_eq!(at("vn", "2026-08-01T00:00:00Z"), "vn-118-2025");
        assert_eq!(at("vn-tt09", "2026-08-01T00:00:00Z"), "vn-tt09");
        assert_eq!(at("eu-561", "1999-08-01T00:00:00Z"), "eu-561");
        let error = library.law("eu", TimeZone::utc()).unwrap_err().to_string();
        assert!(
            error.contains("no profile `eu`") && error.contains("eu-561"),
            "{error}"
        );
    }

    #[test]
    fn an_own_profile_stands_beside_or_instead() {
        let mut library = Library::built_in();
        let beside = own("cn", "name = \"cn\"", "name = \"cn-north\"");
        let beside = beside.replace("regime = \"cn\"", "regime = \"cn-north\"");
        library.add("cn-north.toml", &beside).unwrap();
        let instead = own("vn-118-2025", "day_s = 28800", "day_s = 36000");
        let error = library.add("mine.toml", &instead).unwrap_err().to_string();
        assert!(
            error.contains("vn-118-2025 version 1") && error.contains("the program"),
            "{error}"
        );
        let instead = instead.replace("version = 1", "version = 2");
        library.add("mine.toml", &instead).unwrap();
        let law = library.law("vn", TimeZone::vietnam()).unwrap();
        let now = law.at(Timestamp::parse_rfc3339("2026-08-01T00:00:00Z").unwrap());
        assert_eq!((now.driving.day_s, now.id.version), (Some(36_000), 2));
        let again = instead.replace("version = 2", "version = 3");
        let error = library.add("twice.toml", &again).unwrap_err().to_string();
        assert!(error.contains("mine.toml"), "{error}");
        library.check().unwrap();
    }

    #[test]
    fn an_own_profile_must_fit_into_its_regime() {
        let mut library = Library::built_in();
        let late = own("vn-118-2025", "2026-07-01", "2026-08-01");
        let late = late.replace("version = 1", "version = 2");
        library.add("late.toml", &late).unwrap();
        let error = library.check().unwrap_err().to_string();
        assert!(
            error.contains("leave a gap at 2026-06-30T17:00:00Z"),
            "{error}"
        );
    }
}
