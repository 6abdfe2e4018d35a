//! The event-time engine: one file per rule, parameters from dated profiles.
//!
//! `step` folds one source's records in order of event time; `subject` judges a driver's periods.
//! Both are pure functions: time, registers and profiles are arguments.
