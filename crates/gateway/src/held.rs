//! How much devices that nobody approved may file: bounded per device and in number, by day.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use waywarden_model::{SourceId, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// Counts the frames of held devices within a day of UTC.
#[derive(Debug)]
pub(crate) struct HeldBounds {
    frames: u32,
    devices: usize,
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: i64,
    frames: HashMap<SourceId, u32>,
}

impl HeldBounds {
    pub(crate) fn new(frames: u32, devices: usize) -> Self {
        Self {
            frames,
            devices,
            today: Mutex::default(),
        }
    }

    /// Whether one more frame of `device` may be filed; counts it.
    pub(crate) fn take(&self, device: &SourceId, now: Timestamp) -> bool {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.millis().div_euclid(DAY_MS);
        if today.day != day {
            today.day = day;
            today.frames.clear();
        }
        if let Some(count) = today.frames.get_mut(device) {
            let room = *count < self.frames;
            *count += u32::from(room);
            return room;
        }
        let room = self.frames > 0 && today.frames.len() < self.devices;
        if room {
            today.frames.insert(device.clone(), 1);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_per_device_and_in_number_until_the_next_day() {
        let bounds = HeldBounds::new(2, 2);
        let now = Timestamp::from_secs(1_773_104_405);
        let take = |id: &str, at| bounds.take(&id.into(), at);
        assert_eq!(
            ["a", "a", "a", "b", "c", "b", "b"].map(|id| take(id, now)),
            [true, true, false, true, false, true, false]
        );
        let tomorrow = now.plus_millis(DAY_MS);
        assert!(take("c", tomorrow) && take("a", tomorrow));
    }
}
