//! What was embedded: calls, inputs that the model really ran on, memo hits, errors by SQLSTATE, time, batch sizes.
//!
//! Counted for this backend, and for all of them where the library is preloaded (`shared`).

pub mod shared;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::sqlstate_text;

use clip_core::Modality;

/// Different SQLSTATEs counted apart; the engine has fewer.
const SQLSTATES: usize = 8;

/// One call of an embedding function, a batch being one.
#[derive(Default)]
pub struct Call {
    /// Inputs that the model ran on.
    pub items: usize,
    /// Inputs answered from the memo.
    pub memo_hits: usize,
    /// SQLSTATEs in PostgreSQL's encoding.
    pub errors: Vec<i32>,
    pub spent: Duration,
}

/// Plain numbers of fixed size: backends share them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Counters {
    pub calls: u64,
    pub items: u64,
    pub memo_hits: u64,
    /// Calls that ran the model.
    pub batches: u64,
    pub largest_batch: u64,
    total_us: u64,
    max_us: u64,
    errors: [ErrorCount; SQLSTATES],
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct ErrorCount {
    count: u64,
    sqlstate: i32,
}

impl Counters {
    pub const ZERO: Self = Self {
        calls: 0,
        items: 0,
        memo_hits: 0,
        batches: 0,
        largest_batch: 0,
        total_us: 0,
        max_us: 0,
        errors: [ErrorCount { count: 0, sqlstate: 0 }; SQLSTATES],
    };

    pub fn add(&mut self, call: &Call) {
        let spent = u64::try_from(call.spent.as_micros()).unwrap_or(u64::MAX);
        self.calls += 1;
        self.items += call.items as u64;
        self.memo_hits += call.memo_hits as u64;
        self.batches += u64::from(call.items > 0);
        self.largest_batch = self.largest_batch.max(call.items as u64);
        self.total_us = self.total_us.saturating_add(spent);
        self.max_us = self.max_us.max(spent);
        for sqlstate in &call.errors {
            if let Some(slot) = self.errors.iter_mut().find(|e| e.count == 0 || e.sqlstate == *sqlstate) {
                slot.sqlstate = *sqlstate;
                slot.count += 1;
            }
        }
    }

    pub fn total_ms(&self) -> f64 {
        self.total_us as f64 / 1e3
    }

    pub fn max_ms(&self) -> f64 {
        self.max_us as f64 / 1e3
    }

    pub fn errors(&self) -> u64 {
        self.errors.iter().map(|e| e.count).sum()
    }

    /// `{"22P03": 2}`
    pub fn errors_by_sqlstate(&self) -> String {
        let counts = self.errors.iter().filter(|e| e.count > 0);
        let pairs: Vec<String> = counts.map(|e| format!("\"{}\": {}", sqlstate_text(e.sqlstate), e.count)).collect();
        format!("{{{}}}", pairs.join(", "))
    }
}

pub type Row = (String, Modality, Counters);

/// Counters of this backend.
#[derive(Default)]
pub struct Stats {
    by: BTreeMap<(String, Modality), Counters>,
}

impl Stats {
    pub fn add(&mut self, model: &str, modality: Modality, call: &Call) {
        self.by.entry((model.to_owned(), modality)).or_insert(Counters::ZERO).add(call);
    }

    pub fn all(&self) -> Vec<Row> {
        self.by.iter().map(|((model, modality), counters)| (model.clone(), *modality, *counters)).collect()
    }

    pub fn reset(&mut self) {
        self.by.clear();
    }
}
