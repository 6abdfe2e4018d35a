//! Repeats are folded: a flood of one line must not hide the line that matters, nor fill the disk.
//!
//! Of one place in the code the same line is written once in [`WINDOW`], and at most [`DIFFERENT`]
//! lines that differ; the rest is counted and told as one line with `times`. Debugging lines are
//! left alone: who asks for them wants them all.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Within it the same line is written once.
const WINDOW: Duration = Duration::from_secs(60);
/// Lines of one place that differ, written within the window.
const DIFFERENT: usize = 20;
/// Between looks for what is to be told.
const LOOK: Duration = Duration::from_secs(5);
/// Characters of a message that are kept to tell what was folded.
const SAID: usize = 200;

/// What was written of late, and what was folded. Its size is bounded by the places in the code.
#[derive(Debug, Clone, Default)]
pub struct Folds {
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    /// Hashes of the lines written since then.
    written: Vec<u64>,
    folded: Option<Folded>,
}

/// Lines that were not written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folded {
    level: Level,
    message: String,
    times: u64,
    /// Of the first of them.
    at: Instant,
}

/// Lets an event pass, or counts it.
#[derive(Debug)]
pub struct FoldFilter(Folds);

impl Folds {
    pub fn filter(&self) -> FoldFilter {
        FoldFilter(self.clone())
    }

    /// Tells what was folded, for as long as the program runs.
    pub async fn tell_from_time_to_time(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.due(WINDOW, Instant::now()).iter().for_each(tell);
        }
    }

    /// Tells what is folded still: the program ends.
    pub fn tell_the_rest(&self) {
        self.due(Duration::ZERO, Instant::now())
            .iter()
            .for_each(tell);
    }

    fn passes(&self, place: Identifier, line: &Line, level: Level, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert_with(|| Place {
            since: now,
            written: Vec::new(),
            folded: None,
        });
        if now.duration_since(place.since) >= WINDOW {
            place.since = now;
            place.written.clear();
        }
        let hash = line.hash.finish();
        if !place.written.contains(&hash) && place.written.len() < DIFFERENT {
            place.written.push(hash);
            return true;
        }
        match &mut place.folded {
            Some(folded) => folded.times += 1,
            none => {
                *none = Some(Folded {
                    level,
                    message: line.message.clone(),
                    times: 1,
                    at: now,
                });
            }
        }
        false
    }

    /// Takes what was folded at least so long ago; with a window a flood gives a line in each.
    fn due(&self, age: Duration, now: Instant) -> Vec<Folded> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |f: &Folded| now.duration_since(f.at) >= age;
        let due = places.values_mut().filter_map(|p| {
            let is_due = p.folded.as_ref().is_some_and(old);
            is_due.then(|| p.folded.take()).flatten()
        });
        due.collect()
    }
}

fn tell(folded: &Folded) {
    let Folded { message, times, .. } = folded;
    match folded.level {
        Level::ERROR => tracing::error!(target: TARGET, times, "again: {message}"),
        Level::WARN => tracing::warn!(target: TARGET, times, "again: {message}"),
        _ => tracing::info!(target: TARGET, times, "again: {message}"),
    }
}

/// Of the lines that tell what was folded, which pass by themselves.
const TARGET: &str = "waywarden::folded";

impl<S> Filter<S> for FoldFilter {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == TARGET {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        self.0.passes(
            metadata.callsite(),
            &line,
            *metadata.level(),
            Instant::now(),
        )
    }
}

/// What makes two lines the same: all of it, but counters of repeats.
#[derive(Default)]
struct Line {
    hash: DefaultHasher,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "times" {
            return;
        }
        let text = format!("{value:?}");
        (field.name(), &text).hash(&mut self.hash);
        if field.name() == "message" {
            self.message = text.chars().take(SAID).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn taken(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(ToOwned::to_owned).collect()
        }
    }

    fn written(work: impl FnOnce(&Folds, &Lines)) {
        let (folds, lines) = (Folds::default(), Lines::default());
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_filter(folds.filter());
        let all = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(all, || work(&folds, &lines));
    }

    fn refused(reason: &str, times: u64) {
        tracing::warn!(reason, times, "not let in");
    }

    #[test]
    fn a_flood_is_a_line_and_a_count() {
        written(|folds, lines| {
            for n in 0..1000 {
                refused("full", n);
            }
            assert_eq!(lines.taken().len(), 1);
            assert!(
                folds.due(WINDOW, Instant::now()).is_empty(),
                "not within the window"
            );
            let due = folds.due(WINDOW, Instant::now() + WINDOW);
            assert_eq!((due.len(), due[0].times), (1, 999));
            tell(&due[0]);
            let said = lines.taken();
            assert_eq!(said.len(), 1);
            assert!(said[0].contains("WARN") && said[0].contains("again: not let in"));
            assert!(said[0].contains("times=999"), "{said:?}");
            assert!(
                folds.due(WINDOW, Instant::now() + 2 * WINDOW).is_empty(),
                "told once"
            );
        });
    }

    #[test]
    fn lines_that_differ_are_bounded_too_and_other_places_are_heard() {
        written(|folds, lines| {
            for n in 0..100 {
                refused(&format!("reason {n}"), 1);
            }
            tracing::error!("the line that matters");
            let said = lines.taken();
            assert_eq!(said.len(), DIFFERENT + 1);
            assert!(said[DIFFERENT].contains("the line that matters"));
            let due = folds.due(WINDOW, Instant::now() + WINDOW);
            assert_eq!(due[0].times, 100 - DIFFERENT as u64);
        });
    }

    #[test]
    fn after_the_window_it_is_written_again() {
        let (folds, start) = (Folds::default(), Instant::now());
        let mut place = None;
        written(|seen, _| {
            refused("full", 1);
            place = seen.places.lock().unwrap().keys().next().cloned();
        });
        let (place, line) = (place.unwrap(), Line::default());
        for (seconds, passes) in [(0, true), (1, false), (59, false), (60, true), (61, false)] {
            let now = start + Duration::from_secs(seconds);
            let passed = folds.passes(place.clone(), &line, Level::WARN, now);
            assert_eq!(passed, passes, "{seconds}");
        }
        // The count goes on over the border of two windows.
        assert_eq!(
            folds.due(WINDOW, start + Duration::from_secs(61))[0].times,
            3
        );
    }

    #[test]
    fn debugging_is_left_alone() {
        written(|_, lines| {
            for _ in 0..50 {
                tracing::debug!("batch committed");
            }
            assert_eq!(lines.taken().len(), 50);
        });
    }
}
