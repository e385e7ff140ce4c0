//! The parts of the extension that know nothing of PostgreSQL, with their tests: the extension itself is a library that only a
//! server can load.

#[allow(dead_code)]
#[path = "../../../src/pipeline/retry_policy.rs"]
mod retry_policy;

#[allow(dead_code)]
#[path = "../../../src/wake/heap_look.rs"]
mod heap_look;

#[allow(dead_code)]
#[path = "../../../src/search/effort.rs"]
mod effort;

#[allow(dead_code)]
#[path = "../../../src/search/merge.rs"]
mod merge;

#[allow(dead_code)]
#[path = "../../../src/search/page.rs"]
mod page;

#[allow(dead_code)]
#[path = "../../../src/pg/datum/half.rs"]
mod half;

#[allow(dead_code)]
#[path = "../../../src/attachment/update.rs"]
mod update;
