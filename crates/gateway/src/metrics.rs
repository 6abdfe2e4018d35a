//! Counters of the gateway. Labels are protocols and reasons, never a device.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use waywarden_model::Protocol;

/// All metrics, registered once.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) connections: IntGaugeVec,
    pub(crate) accepted: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) closed: IntCounterVec,
    protocols: [PerProtocol; Protocol::ALL.len()],
    pub(crate) frame_errors: IntCounterVec,
    pub(crate) unknown: IntCounterVec,
    pub(crate) durable: Histogram,
    pub(crate) append_failures: IntCounter,
    pub(crate) held: IntCounter,
    pub(crate) late: IntCounter,
    pub(crate) paced: IntCounter,
    pub(crate) ticks: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) disk_free: IntGauge,
    pub(crate) paused: IntGauge,
    pub(crate) clock_behind: IntGauge,
    pub(crate) spool_active: IntGauge,
    pub(crate) spool_full: IntGauge,
    pub(crate) spool_bytes: IntGauge,
    pub(crate) spool_waiting: IntGauge,
    pub(crate) spool_trips: IntCounter,
    pub(crate) spooled: IntCounter,
    pub(crate) drained: IntCounter,
}

/// Counters that every frame touches: looked up once, not by label.
#[derive(Debug)]
pub(crate) struct PerProtocol {
    pub(crate) bytes: IntCounter,
    pub(crate) frames: IntCounter,
    pub(crate) records: IntCounter,
    /// Frames without a record that has a time of its own.
    pub(crate) untimed: IntCounter,
    pub(crate) durable: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let m = Maker(registry);
        let bytes = m.counters("received_bytes_total", "Bytes read.", &["protocol"])?;
        let frames = m.counters("frames_total", "Frames with data.", &["protocol"])?;
        let records = m.counters("records_total", "Records published.", &["protocol"])?;
        let untimed = m.counters(
            "untimed_frames_total",
            "Frames with data and no record that has a time; not published.",
            &["protocol"],
        )?;
        let durable = m.counters(
            "durable_frames_total",
            "Frames made durable.",
            &["protocol"],
        )?;
        let protocols = Protocol::ALL.map(|p| PerProtocol {
            bytes: bytes.with_label_values(&[p.name()]),
            frames: frames.with_label_values(&[p.name()]),
            records: records.with_label_values(&[p.name()]),
            untimed: untimed.with_label_values(&[p.name()]),
            durable: durable.with_label_values(&[p.name()]),
        });
        Ok(Self {
            connections: m.gauges("open_connections", "Open connections.", &["listener"])?,
            accepted: m.counters(
                "accepted_connections_total",
                "Connections let in.",
                &["listener"],
            )?,
            refused: m.counters(
                "refused_connections_total",
                "Connections not let in.",
                &["reason"],
            )?,
            closed: m.counters(
                "closed_connections_total",
                "Connections closed.",
                &["reason"],
            )?,
            protocols,
            frame_errors: m.counters(
                "frame_errors_total",
                "Frames that were wrong.",
                &["protocol", "reason"],
            )?,
            unknown: m.counters(
                "unknown_frames_total",
                "Frames of a kind that is not decoded.",
                &["protocol", "kind"],
            )?,
            durable: m.histogram("durable_seconds", "From reading frames to their receipt.")?,
            append_failures: m.counter("append_failures_total", "Writes that the log refused.")?,
            held: m.counter("held_frames_total", "Frames of devices that are held.")?,
            late: m.counter(
                "late_records_total",
                "Records published long after their time.",
            )?,
            paced: m.counter(
                "paced_reads_total",
                "Times that a connection waited, since late records come faster than is set.",
            )?,
            ticks: m.counter("ticks_total", "Ticks written, over all partitions.")?,
            in_flight: m.gauge("in_flight_bytes", "Bytes read and not durable yet.")?,
            disk_free: m.gauge("disk_free_bytes", "Free disk of the data folder.")?,
            paused: m.gauge(
                "paused_state",
                "1 while the reserve of disk pauses reading.",
            )?,
            clock_behind: m.gauge(
                "clock_behind_seconds",
                "How far the clock stands before the last stamp.",
            )?,
            spool_active: m.gauge("spool_active_state", "1 while messages go to the spool.")?,
            spool_full: m.gauge("spool_full_state", "1 while a full spool pauses reading.")?,
            spool_bytes: m.gauge("spool_bytes", "Size of the spool on disk.")?,
            spool_waiting: m.gauge("spool_waiting_messages", "Spooled and not drained.")?,
            spool_trips: m.counter("spool_trips_total", "Times that the log was found away.")?,
            spooled: m.counter("spooled_messages_total", "Messages that went to the spool.")?,
            drained: m.counter("drained_messages_total", "Messages that went on from it.")?,
        })
    }

    pub(crate) fn of(&self, protocol: Protocol) -> &PerProtocol {
        match protocol {
            Protocol::Teltonika => &self.protocols[0],
            Protocol::Gt06 => &self.protocols[1],
            Protocol::Jt808 => &self.protocols[2],
        }
    }
}

/// From 1 ms to 16 s.
const BUCKETS: (f64, f64, usize) = (0.001, 2.0, 15);

struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn name(name: &str) -> String {
        format!("waywarden_gateway_{name}")
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(Self::name(name), help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let made = IntGaugeVec::new(Opts::new(Self::name(name), help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let made = IntCounter::new(Self::name(name), help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let made = IntGauge::new(Self::name(name), help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let (start, factor, count) = BUCKETS;
        let buckets = prometheus::exponential_buckets(start, factor, count)?;
        let made =
            Histogram::with_opts(HistogramOpts::new(Self::name(name), help).buckets(buckets))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}
