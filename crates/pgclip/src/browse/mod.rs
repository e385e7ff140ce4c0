//! `browse`: a table as a page of this machine's own browser.
//!
//! Whoever has the address can search the table as the role that this program connects as, and see the pictures below the root; nobody
//! else can, and nothing is written.

mod about;
mod answers;
mod guard;
pub mod options;
mod pool;
mod server;
mod thumbnails;

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clip_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;

use crate::interrupt;
use crate::pictures::Root;
use crate::plain::plain;
use crate::search::page::has_desktop;
use options::Options;
use pool::Pool;
use server::Shared;
use thumbnails::Thumbnails;

/// Time that a browser has to start and read a file.
const READING: Duration = Duration::from_secs(60);

/// Serves until the program is ended.
pub fn browse(options: &Options) -> Result<()> {
    let root = options.root.as_deref().map(Root::new).transpose()?;
    let pool = Pool::new(options.database.target()?, options.timeout);
    let about =
        pool.with(|client, _| about::look(client, &options.table, options.column.as_deref(), root.is_some()))?;
    let refused = |e: std::io::Error| {
        Error::new(ErrorKind::InvalidArgument, format!("could not listen at port {}: {e}", options.port))
            .with_hint("Without --port one is taken that is free.")
    };
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let port = listener.local_addr().map_err(refused)?.port();
    let token = token()?;
    let address = format!("http://127.0.0.1:{port}/{token}/");
    // Outlives the runtime: connections to PostgreSQL cannot be closed on its threads.
    let shared = Arc::new(Shared {
        token,
        port,
        about,
        table: options.table.clone(),
        column: options.column.clone(),
        pool,
        thumbnails: Thumbnails::new(root),
    });
    let failed = |e: std::io::Error| Error::internal(format!("could not serve: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let router = server::router(Arc::clone(&shared));
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        println!("{address}");
        eprintln!("pgclip: whoever has this address can search table \"{}\"; Ctrl-C ends it", plain(&options.table));
        if options.open && has_desktop() && open_page(&address).is_err() {
            eprintln!("pgclip: could not open a browser");
        }
        interrupt::outlive_readers();
        axum::serve(listener, router).await.map_err(failed)
    })
}

/// By way of a file that nobody else may read: the words of a browser's command line are seen by everybody on the machine.
fn open_page(address: &str) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix("pgclip-").suffix(".html").tempfile()?;
    let page =
        "<!doctype html><meta charset=\"utf-8\"><title>pg_clip</title><meta name=\"referrer\" content=\"no-referrer\">";
    writeln!(file, "{page}<meta http-equiv=\"refresh\" content=\"0;url={address}\">")?;
    open::that_detached(file.path())?;
    thread::spawn(move || {
        thread::sleep(READING);
        drop(file);
    });
    Ok(())
}

/// 192 bits that nobody guesses.
fn token() -> Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("the system has no random numbers: {e}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
