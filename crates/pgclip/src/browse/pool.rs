//! A few connections to the server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clip_core::{Error, Result};
use postgres::Client;
use tokio::sync::Semaphore;

use crate::database::{Target, failed};
use crate::extension::Extension;

/// Searches at a time; more wait.
const CONNECTIONS: usize = 4;

/// Connections that were made and are used again, by whoever comes first.
pub struct Pool {
    target: Target,
    /// Seconds of a statement.
    timeout: u32,
    idle: Mutex<Vec<(Client, Extension)>>,
    /// Taken by who is about to use a connection.
    pub places: Arc<Semaphore>,
}

impl Pool {
    /// Connects to nothing yet.
    pub fn new(target: Target, timeout: u32) -> Self {
        Self { target, timeout, idle: Mutex::default(), places: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Runs `work`, which waits for the server, on a thread that may wait.
    pub fn with<T>(&self, work: impl FnOnce(&mut Client, &Extension) -> Result<T>) -> Result<T> {
        let (mut client, extension) = match self.take() {
            Some(idle) => idle,
            None => self.connect()?,
        };
        let done = work(&mut client, &extension);
        if !client.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((client, extension));
        }
        done
    }

    /// One that still works: the server may have been started anew since.
    fn take(&self) -> Option<(Client, Extension)> {
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if idle.0.is_valid(Duration::from_secs(2)).is_ok() {
                return Some(idle);
            }
        }
    }

    fn connect(&self) -> Result<(Client, Extension)> {
        let mut client = self.target.connect()?;
        let settings = format!("SET default_transaction_read_only = on; SET statement_timeout = '{}s'", self.timeout);
        client.batch_execute(&settings).map_err(|e| failed(&e))?;
        let extension = Extension::find(&mut client)?;
        Ok((client, extension))
    }
}

/// Runs what waits on a thread of its own, when one of the places is free. It keeps the place to its end, also where nobody waits for it any
/// more.
pub async fn blocking<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let place = Arc::clone(places).acquire_owned().await.map_err(|e| Error::internal(e.to_string()))?;
    let placed = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(placed).await.unwrap_or_else(|e| Err(Error::internal(format!("a thread failed: {e}"))))
}
