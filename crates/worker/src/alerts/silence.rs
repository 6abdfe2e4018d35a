//! A vehicle in operation from which nothing comes (TT 71/2024: for 30 minutes or longer).

use super::Whose;
use serde::{Deserialize, Serialize};
use waywarden_model::{Alert, AlertKind, Record, Timestamp};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// The latest stamp of receipt.
    heard: Option<Timestamp>,
    /// What the newest record that says so said.
    ignition: Option<bool>,
    driving: bool,
    open: Option<Box<Alert>>,
}

impl Silence {
    /// A device may say that the ignition is off and sleep at once, before the rules see a stop; one
    /// whose ignition is not wired says so all the time, also while it moves.
    pub fn newest(&mut self, record: &Record, driving: bool, moves: bool) {
        self.ignition = record.ignition.or(self.ignition);
        self.driving = driving && (moves || self.ignition != Some(false));
    }

    /// In operation is what has its ignition on or is driving.
    fn in_operation(&self) -> bool {
        self.driving || self.ignition == Some(true)
    }

    /// What it gives is over.
    pub fn heard(&mut self, received: Timestamp) -> Option<Alert> {
        self.heard = self.heard.max(Some(received));
        let mut alert = self.open.take()?;
        alert.ended = Some(received.max(alert.raised));
        Some(*alert)
    }

    /// Counted is only time in which everybody listened: of a device that could not reach us
    /// nothing is known.
    pub fn look(
        &mut self,
        (listening, now): (Timestamp, Timestamp),
        silent_ms: i64,
        whose: &Whose<'_>,
    ) -> Option<Alert> {
        let heard = self.heard?;
        if self.open.is_some() || !self.in_operation() {
            return None;
        }
        let raised = heard.max(listening).plus_millis(silent_ms);
        if now < raised {
            return None;
        }
        let mut alert = whose.alert(AlertKind::Silence, heard, raised)?;
        alert.limit_ms = Some(silent_ms);
        self.open = Some(Box::new(alert.clone()));
        Some(alert)
    }
}
