//! What this session did: calls, inputs that the model really ran on, memo hits, errors, time.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Text,
    Image,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Calls of an embedding function, a batch being one.
    pub calls: i64,
    /// Inputs that the model ran on.
    pub items: i64,
    /// Inputs answered from the memo.
    pub memo_hits: i64,
    pub errors: i64,
    pub total: Duration,
    pub max: Duration,
}

#[derive(Default)]
pub struct Stats {
    by: BTreeMap<(String, Kind), Counters>,
}

impl Stats {
    pub fn counters(&mut self, model: &str, kind: Kind) -> &mut Counters {
        self.by.entry((model.to_owned(), kind)).or_default()
    }

    pub fn all(&self) -> Vec<(String, Kind, Counters)> {
        self.by.iter().map(|((model, kind), counters)| (model.clone(), *kind, counters.clone())).collect()
    }
}
