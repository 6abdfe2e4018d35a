//! The one place that reads the clock; everything else is given it.

use waywarden_model::Timestamp;

/// The system's time.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
