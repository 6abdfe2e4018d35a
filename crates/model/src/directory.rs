//! What a gateway may ask about devices, answered from memory: acknowledging never waits.

use crate::ids::SourceId;
use serde::{Deserialize, Serialize};

/// How a device stands with the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In the register, or admitted by the policy `accept`.
    Known,
    /// Log-in answered, data durable and filed, not judged until somebody approves it.
    Held,
    /// Not answered; the connection is closed.
    Refused,
}

/// Settings of one device that the decoder needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceProfile {
    pub source: SourceId,
    pub standing: Standing,
    /// Seconds east of UTC of the device's clock; None: the protocol's own default.
    pub utc_offset_s: Option<i32>,
    /// Name of the protocol's dialect where the frames do not tell; None: recognised.
    pub dialect: Option<String>,
}

/// Identifier to device. Implementations answer without waiting and without input or output.
pub trait DeviceDirectory: Send + Sync + 'static {
    /// Looks `candidates` up in their order (a protocol may spell one identifier in several ways);
    /// where none is registered, the policy for unknown devices decides over the first.
    fn look_up(&self, candidates: &[String]) -> DeviceProfile;
}
