//! PostgreSQL as the rest of the crate sees it: values, settings, statements with plans that are kept, interrupts, users, transactions
//! of a procedure. Knows nothing of models and tables.

pub mod datum;
pub mod interrupts;
pub mod list;
pub mod plan;
pub mod procedure;
pub mod settings;
pub mod users;
