//! Figures of what is on file and of the log's backlog, made anew at each reading: what the store
//! does not answer is missing then, never old.

use crate::state::ServiceStatus;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use waywarden_model::Timestamp;
use waywarden_store::read::StoreStatus;

/// Registers the figures. `reasons` are those of `/readyz`; `store` is `None` where it does not
/// answer.
pub(crate) fn tell(
    registry: &Registry,
    reasons: &[String],
    service: &ServiceStatus,
    store: Option<&StoreStatus>,
) -> prometheus::Result<()> {
    let m = Maker(registry);
    let ready = m.gauge("ready_state", "1 while /readyz answers 200.")?;
    ready.set(reasons.is_empty().into());
    let unready = m.gauges(
        "unready_state",
        "1 for each reason why /readyz answers 503.",
        &["reason"],
    )?;
    for reason in reasons {
        unready.with_label_values(&[reason]).set(1);
    }
    if let Some(store) = store {
        on_file(&m, store)?;
        partitions(&m, service, store)?;
    }
    Ok(())
}

fn on_file(m: &Maker<'_>, s: &StoreStatus) -> prometheus::Result<()> {
    if let Some(at) = s.last_received {
        let last = m.gauge(
            "last_received_timestamp_seconds",
            "When the newest record on file was received.",
        )?;
        last.set(seconds(at));
    }
    if let Some(at) = s.oldest_mark {
        let oldest = m.gauge(
            "oldest_mark_timestamp_seconds",
            "Since when the oldest late data waits to be judged again.",
        )?;
        oldest.set(seconds(at));
    }
    let sources = m.gauge("filed_sources", "Devices and feeds with records on file.")?;
    sources.set(number(s.sources));
    let held = m.gauge("held_sources", "Devices that wait for approval.")?;
    held.set(number(s.held));
    let marks = m.gauge("marked_sources", "Sources with late data, to judge again.")?;
    marks.set(number(s.marks));
    let dirty = m.gauge("waiting_subjects", "Drivers and vehicles to judge again.")?;
    dirty.set(number(s.dirty_subjects));
    let poison = m.gauge("poison_messages", "Messages that could not be read.")?;
    poison.set(number(s.poison));
    let open = m.gauge("open_violations", "Violations that have not ended.")?;
    open.set(number(s.violations_open));
    let alerts = m.gauges("open_alerts", "Alerts that go on.", &["kind"])?;
    for (kind, count) in &s.alerts_open {
        alerts.with_label_values(&[kind.name()]).set(number(*count));
    }
    Ok(())
}

fn partitions(m: &Maker<'_>, service: &ServiceStatus, s: &StoreStatus) -> prometheus::Result<()> {
    let backlog = m.gauges(
        "backlog_messages",
        "Messages in the log that are not judged yet.",
        &["partition"],
    )?;
    let records = m.counters(
        "judged_records_total",
        "Records read from the log, by what became of them.",
        &["partition", "outcome"],
    )?;
    let late = m.counters(
        "late_records_total",
        "Records that were older than the newest of their source.",
        &["partition"],
    )?;
    for p in &s.partitions {
        let partition = p.partition.to_string();
        if let Some(of) = service.log.iter().find(|l| l.partition == p.partition) {
            let behind = of.head.saturating_sub(p.position);
            backlog.with_label_values(&[&partition]).set(number(behind));
        }
        let c = &p.counters;
        for (outcome, count) in [
            ("filed", c.filed),
            ("repeated", c.repeated),
            ("aside", c.aside),
            ("refused", c.refused),
        ] {
            let made = records.with_label_values(&[partition.as_str(), outcome]);
            made.inc_by(count);
        }
        late.with_label_values(&[&partition]).inc_by(c.late);
    }
    Ok(())
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1000)
}

struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("waywarden_console_{name}"), help)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let made = IntCounterVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let made = IntGaugeVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let made = IntGauge::with_opts(Self::opts(name, help))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_store_nothing_old_is_told() {
        let registry = Registry::new();
        let reasons = ["store_failed".to_owned()];
        tell(&registry, &reasons, &ServiceStatus::default(), None).unwrap();
        let families = registry.gather();
        let names: Vec<&str> = families.iter().map(|f| f.name()).collect();
        let expected = [
            "waywarden_console_ready_state",
            "waywarden_console_unready_state",
        ];
        assert_eq!(names, expected);
        assert_eq!(families[0].get_metric()[0].get_gauge().get_value(), 0.0);
        let why = &families[1].get_metric()[0].get_label()[0];
        assert_eq!((why.name(), why.value()), ("reason", "store_failed"));
    }
}
