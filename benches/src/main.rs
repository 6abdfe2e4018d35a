//! Measures what the project claims; each line says how it was counted. Not a timed test: these
//! are figures to compare within one run on one machine.

mod rules;

fn main() {
    eprintln!("figure: median of 5 rounds (smallest to largest)");
    rules::judged_per_second();
}
