//! Background workers that empty the queue, where the library is preloaded.
//!
//! One launcher for the server, which is connected to no database, starts workers for the databases that have work
//! ([`launcher`]). A worker ([`process`]) empties its database's queue, waits a moment for more, and ends: nobody who wants
//! to drop or copy the database finds it connected for long. What they share with those who enqueue is in [`wake`](crate::wake).

mod launcher;
mod process;
mod utility;

pub use launcher::register;
