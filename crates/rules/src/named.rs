//! Whom a source named last, and what the registers say of him: kept until it ends, since most
//! records name the same driver as the one before.

use crate::profile::Profile;
use crate::step::Context;
use waywarden_model::registry::{Class, Permit, Validity};
use waywarden_model::{CardId, DriverId, ProfileId, Timestamp};

/// Never saved: the registers give it again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    card: Option<Read>,
    driver: Option<Licensed>,
}

/// A card, and whose it is.
#[derive(Clone, Debug)]
struct Read {
    card: CardId,
    registry: u32,
    validity: Validity,
    holder: DriverId,
}

/// A driver, and his licence for a class of vehicle; None: he is not registered.
#[derive(Clone, Debug)]
struct Licensed {
    driver: DriverId,
    class: Option<Class>,
    profile: ProfileId,
    registry: u32,
    validity: Validity,
    licence: Option<Licence>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Licence {
    pub permit: Permit,
    /// Of a class that does not entitle, where the law in force knows it and the vehicle's.
    pub wrong_class: bool,
}

impl Named {
    /// Whose card it is; one that nobody registered stands for its holder.
    pub fn holder(&mut self, card: &CardId, t: Timestamp, ctx: &Context<'_>) -> DriverId {
        let registry = ctx.registry.version();
        let same = |r: &&Read| r.card == *card && r.registry == registry && r.validity.holds_at(t);
        if let Some(read) = self.card.as_ref().filter(same) {
            return read.holder.clone();
        }
        let found = ctx.registry.driver_of_card(card, t);
        let unknown = || DriverId::new(format!("card:{}", card.spelled()));
        let holder = found.value.cloned().unwrap_or_else(unknown);
        self.card = Some(Read {
            card: card.clone(),
            registry,
            validity: found.validity,
            holder: holder.clone(),
        });
        holder
    }

    /// The licence of a registered driver.
    pub fn licence(
        &mut self,
        driver: &DriverId,
        class: Option<Class>,
        t: Timestamp,
        ctx: &Context<'_>,
        profile: &Profile,
    ) -> Option<Licence> {
        let registry = ctx.registry.version();
        let same = |l: &&Licensed| {
            l.driver == *driver
                && (l.class, l.registry) == (class, registry)
                && l.profile == profile.id
                && l.validity.holds_at(t)
        };
        if let Some(known) = self.driver.as_ref().filter(same) {
            return known.licence;
        }
        let found = ctx.registry.driver(driver, t);
        let licence = found.value.map(|d| {
            let entitled = || {
                let held = d.licence_class.as_deref()?;
                profile.licences.as_ref()?.entitles(class?, held)
            };
            Licence {
                permit: d.licence,
                wrong_class: entitled() == Some(false),
            }
        });
        self.driver = Some(Licensed {
            driver: driver.clone(),
            class,
            profile: profile.id.clone(),
            registry,
            validity: found.validity,
            licence,
        });
        licence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profiles;
    use waywarden_model::registry::{Card, Driver, Registers, Registry};
    use waywarden_roads::Network;

    const HANDED_OVER: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn dated(first: bool) -> Validity {
        match first {
            true => Validity {
                until: HANDED_OVER,
                ..Validity::ALWAYS
            },
            false => Validity {
                from: HANDED_OVER,
                ..Validity::ALWAYS
            },
        }
    }

    /// A card that goes from one driver to another, the second with a lesser licence.
    fn registry(version: u32, drivers: [&str; 2]) -> Registry {
        let cards = [true, false].map(|first| Card {
            id: "0A1B".into(),
            driver: drivers[usize::from(!first)].into(),
            validity: dated(first),
        });
        let licensed = |(id, class): (&str, &str)| Driver {
            id: id.into(),
            name: String::new(),
            licence_class: Some(class.to_owned()),
            licence: Permit::default(),
            operator: None,
            validity: Validity::ALWAYS,
        };
        let registers = Registers {
            cards: cards.to_vec(),
            drivers: [(drivers[0], "C"), (drivers[1], "B2")]
                .map(licensed)
                .to_vec(),
            ..Registers::default()
        };
        Registry::new(version, registers)
    }

    #[test]
    fn what_is_kept_ends_with_the_row_the_version_and_the_class() {
        let (network, profiles) = (Network::empty(), Profiles::vietnam());
        let versions = [registry(1, ["one", "two"]), registry(2, ["three", "four"])];
        let ctx = |registry| Context {
            registry,
            network: &network,
            profiles: &profiles,
        };
        let (before, after) = (HANDED_OVER.plus_millis(-1), HANDED_OVER);
        let profile = profiles.at(before);
        let mut named = Named::default();
        for (version, t, expected) in [
            (0, before, "one"),
            (0, after, "two"),
            (0, before, "one"),
            (1, before, "three"),
            (1, after, "four"),
        ] {
            let ctx = ctx(&versions[version]);
            assert_eq!(named.holder(&"0a1b".into(), t, &ctx).as_str(), expected);
            assert_eq!(named.holder(&"0A1B".into(), t, &ctx).as_str(), expected);
        }
        let unknown = named.holder(&"ff".into(), after, &ctx(&versions[0]));
        assert_eq!(unknown.as_str(), "card:FF");

        let mut wrong = |driver: &str, class| {
            let found = named.licence(&driver.into(), class, before, &ctx(&versions[0]), profile);
            found.map(|l| l.wrong_class)
        };
        let (car, lorry) = (Some(Class::CarUpTo28Seats), Some(Class::TruckOver3_5t));
        assert_eq!(wrong("two", car), Some(false));
        assert_eq!(wrong("two", lorry), Some(true));
        assert_eq!(wrong("one", lorry), Some(false));
        assert_eq!(wrong("one", None), Some(false), "a guess must not accuse");
        assert_eq!(wrong("nobody", lorry), None);
    }
}
