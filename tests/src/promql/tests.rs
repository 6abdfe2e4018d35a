use super::*;

fn known() -> BTreeMap<String, Series> {
    let series = |kind, labels: &[&str]| Series {
        kind,
        labels: labels.iter().map(|&l| l.to_owned()).collect(),
    };
    [
        ("up", series(Kind::Gauge, &[])),
        ("frames_total", series(Kind::Counter, &["protocol"])),
        ("durable_seconds_bucket", series(Kind::Counter, &["le"])),
        ("open", series(Kind::Gauge, &["listener"])),
    ]
    .map(|(name, series)| (name.to_owned(), series))
    .into()
}

#[track_caller]
fn check(expression: &str, shown: &[&str], expected: &[&str]) {
    let shown: Vec<String> = shown.iter().map(|&l| l.to_owned()).collect();
    let found = Named::in_expression(expression).problems(&known(), &shown);
    assert_eq!(found, expected, "{expression}");
}

#[test]
fn what_exists_is_taken() {
    for expression in [
        "up == 0",
        r#"up{job=~"gateway|invented_total{", instance!="a\"b"} == bool 0"#,
        "sum by (protocol) (rate(frames_total[$__rate_interval])) / 2e3 > 0.05",
        "sum(rate(frames_total[5m])) by (protocol)",
        "histogram_quantile(0.99, sum by (le, instance) (rate(durable_seconds_bucket[5m]))) > 1",
        "sum(open) < 0.5 * sum(avg_over_time(open[1h] offset 15m)) and time() > 0",
        "open * on (instance) group_left () up # invented_total",
        "max(open) > min(min_over_time(open[1d])) or vector(1) unless up",
        "predict_linear(open[6h], 3 * 86400) < 2^30",
    ] {
        check(expression, &[], &[]);
    }
}

#[test]
fn what_is_invented_is_found() {
    let unknown = ["no crate registers `invented_total`"];
    for expression in [
        "invented_total",
        "up == 0 and invented_total",
        "sum by (job) (rate(invented_total[5m]))",
        "histogram_quantile(0.9, rate(invented_total{job=\"x\"}[5m]))",
        "sum(invented_total offset 5m)",
        "-invented_total",
        "(invented_total)",
    ] {
        check(expression, &[], &unknown);
    }
    check("{job=\"gateway\"}", &[], &["no crate registers ``"]);
    // A histogram has no series of its own name.
    let bare = ["no crate registers `durable_seconds`"];
    check("durable_seconds > 1", &[], &bare);
}

#[test]
fn labels_are_those_of_the_series() {
    let none = ["`open` has no label `protocol`"];
    check("open{protocol=\"gt06\"}", &[], &none);
    let none = ["nothing here has a label `device`"];
    check("sum by (device) (open)", &[], &none);
    check("open", &["listener", "instance"], &[]);
    check("sum by (listener) (open)", &["listener"], &[]);
    let lost = ["the result has no label `instance`"];
    check("sum by (listener) (open)", &["instance"], &lost);
    check("max(open)", &["instance"], &lost);
}

#[test]
fn a_gauge_has_no_rate_and_a_counter_no_slope() {
    let gauge = ["`open` is a Gauge, `rate` is not for it"];
    check("rate(open[5m])", &[], &gauge);
    let counter = ["`frames_total` is a Counter, `deriv` is not for it"];
    check("max(deriv(frames_total[5m]))", &[], &counter);
}
