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
