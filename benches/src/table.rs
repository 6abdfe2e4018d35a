//! The table: figure, median and spread, goal, floor, and below it what limits each figure.

/// One figure.
#[derive(Debug)]
pub struct Row {
    pub figure: String,
    pub unit: &'static str,
    /// One value a round.
    pub rounds: Vec<f64>,
    pub goal: Option<Goal>,
    pub floor: Option<Floor>,
    /// What limits it, and how it was counted.
    pub limit: String,
}

#[derive(Debug, Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// What the same machine does at the same time with the bare means.
#[derive(Debug)]
pub struct Floor {
    pub what: &'static str,
    pub rounds: Vec<f64>,
    /// Part of it that the figure must reach.
    pub at_least: Option<f64>,
}

/// `work` once a round, all values together.
///
/// # Errors
/// The first that a round gives.
pub fn rounds<T>(
    count: usize,
    mut work: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    (0..count).map(|_| work()).collect()
}

pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that 99 of 100 do not exceed.
pub fn percentile_99(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let at = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[allow(clippy::print_stdout)] // the table is what the program is for
pub fn print(rows: &[Row], rounds: usize) {
    println!("Median of {rounds} rounds (smallest to largest).\n");
    let header = ["figure", "median", "goal", "floor", "of it"].map(str::to_owned);
    let mut lines = vec![header];
    lines.extend(rows.iter().enumerate().map(|(n, row)| line(n + 1, row)));
    let widths: Vec<usize> = (0..5)
        .map(|column| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    for line in &lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    println!();
    for (n, row) in rows.iter().enumerate() {
        println!("{:>2}. {}", n + 1, row.limit);
    }
}

fn line(number: usize, row: &Row) -> [String; 5] {
    let value = median(&row.rounds);
    let spread = sorted(&row.rounds);
    let (least, most) = (spread.first(), spread.last());
    let goal = row.goal.map_or_else(String::new, |goal| {
        let (sign, bound, reached) = match goal {
            Goal::AtLeast(bound) => (">=", bound, value >= bound),
            Goal::AtMost(bound) => ("<=", bound, value <= bound),
        };
        format!("{sign} {}{}", number_text(bound), missed(reached))
    });
    let floor = row.floor.as_ref();
    let bare = floor.map(|f| median(&f.rounds));
    [
        format!("{number:>2}. {}", row.figure),
        format!(
            "{} ({} to {}) {}",
            number_text(value),
            number_text(least.copied().unwrap_or(f64::NAN)),
            number_text(most.copied().unwrap_or(f64::NAN)),
            row.unit
        ),
        goal,
        floor.map_or_else(String::new, |f| {
            format!("{} {}", f.what, number_text(median(&f.rounds)))
        }),
        bare.map_or_else(String::new, |bare| {
            let share = value / bare;
            let bound = floor.and_then(|f| f.at_least);
            bound.map_or_else(
                || format!("{share:.2}"),
                |bound| format!("{share:.2} >= {bound}{}", missed(share >= bound)),
            )
        }),
    ]
}

const fn missed(reached: bool) -> &'static str {
    if reached { "" } else { ", MISSED" }
}

/// 1,234,567 and 12.3: whole from a hundred on.
fn number_text(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
