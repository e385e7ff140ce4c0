//! `pull` that breaks off, is killed or is cancelled, and goes on.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::hub::{Hub, Request, Response, names};
use common::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const WEIGHTS: &str = "model.safetensors";

fn weights_of_cdn(request: &Request) -> bool {
    request.host == "cdn" && request.is_file(WEIGHTS)
}

/// First bytes that the requests for the weights asked for.
fn starts(hub: &Hub) -> Vec<u64> {
    let start = |r: Request| match r.header("range") {
        None => 0,
        Some(range) => range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap(),
    };
    hub.requests().into_iter().filter(weights_of_cdn).map(start).collect()
}

#[track_caller]
fn installs(hub: &Hub, models: &Models) {
    let pulled = hub.pull(models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(models.run(["verify", "tiny-clip"]).ok().contains("intact"));
    assert_eq!(names(hub.cache.path()), [""; 0]);
}

#[test]
fn a_dropped_connection_is_resumed() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let drops = AtomicUsize::new(0);
    hub.rule(move |request, mut response| {
        if weights_of_cdn(request) && drops.fetch_add(1, Ordering::Relaxed) < 2 {
            response.cut = Some(100_000);
        }
        response
    });
    let pulled = hub.pull(&models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(pulled.stderr.contains("at 100000 of 444540 bytes") && pulled.stderr.contains("trying again in"));
    assert_eq!(starts(&hub), [0, 100_000, 200_000], "what is there is not asked for again");
    assert!(models.run(["verify", "tiny-clip"]).ok().contains("intact"));
}

#[test]
fn a_killed_pull_is_resumed() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|request, mut response| {
        if weights_of_cdn(request) {
            response.pause = Duration::from_secs(2);
        }
        response
    });
    let mut child = hub.pull_until_part_of(WEIGHTS, &models);
    child.kill().unwrap();
    child.wait().unwrap();
    models.is_empty();
    let part = hub.part(WEIGHTS);
    assert!(part > 0 && part < hub.file(WEIGHTS).len() as u64, "{part}");
    hub.requests();

    hub.rule(|_, response| response);
    let pulled = hub.pull(&models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    let requests = hub.requests();
    let files: Vec<&str> = requests.iter().map(|r| r.path.split('?').next().unwrap()).collect();
    assert!(!files.iter().any(|path| path.ends_with("config.json")), "small files were there: {files:?}");
    let range = requests.iter().find(|r| weights_of_cdn(r)).unwrap().header("range");
    assert_eq!(range, Some(format!("bytes={part}-").as_str()));
    assert!(models.run(["verify", "tiny-clip"]).ok().contains("intact"));
}

#[test]
fn ctrl_c_keeps_what_is_there() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|request, mut response| {
        if weights_of_cdn(request) {
            response.pause = Duration::from_secs(30);
        }
        response
    });
    let child = hub.pull_until_part_of(WEIGHTS, &models);
    let start = Instant::now();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    // At once, although the server is silent for half a minute.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(output.status.signal(), Some(Signal::SIGINT as i32));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("pgclip: cancelled; what was downloaded is kept in"), "{error}");
    models.is_empty();
    let part = hub.part(WEIGHTS);
    assert!(part > 0);

    hub.requests();
    hub.rule(|_, response| response);
    installs(&hub, &models);
    assert_eq!(starts(&hub), [part]);
}

#[test]
fn a_silent_server_is_left_and_asked_again() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let asked = AtomicUsize::new(0);
    hub.rule(move |request, mut response| {
        if weights_of_cdn(request) && asked.fetch_add(1, Ordering::Relaxed) == 0 {
            response.pause = Duration::from_secs(60);
        }
        response
    });
    let pulled = hub.pull(&models, &["--timeout", "2"]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(pulled.stderr.contains("timeout"), "{}", pulled.stderr);
    assert_eq!(starts(&hub), [0, 16 << 10]);
}

#[test]
fn a_server_without_ranges_sends_the_file_again() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let content = hub.file(WEIGHTS).to_vec();
    let asked = AtomicUsize::new(0);
    hub.rule(move |request, response| {
        if !weights_of_cdn(request) {
            return response;
        }
        let mut whole = Response::new(200, content.clone());
        whole.cut = (asked.fetch_add(1, Ordering::Relaxed) == 0).then_some(100_000);
        whole
    });
    installs(&hub, &models);
    assert_eq!(starts(&hub), [0, 100_000]);
}

#[test]
fn another_range_than_the_missing_one_is_refused() {
    for (range, first) in [("bytes 0-444539/444540", 0), ("bytes 100000-444539/999999", 100_000), ("x", 100_000)] {
        let (hub, models) = (Hub::with("tiny-clip"), Models::new());
        let content = hub.file(WEIGHTS).to_vec();
        hub.rule(move |request, mut response| {
            if weights_of_cdn(request) && request.header("range").is_some() {
                return Response::new(206, &content[first..]).header("Content-Range", range);
            }
            if weights_of_cdn(request) {
                response.cut = Some(100_000);
            }
            response
        });
        let error = hub.pull(&models, &[]).fails(1);
        assert!(
            error.contains(&format!("comes with range \"{range}\", expected bytes 100000-444539/444540")),
            "{error}"
        );
        models.is_empty();
    }
}

#[test]
fn parts_of_two_contents_never_meet() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|request, mut response| {
        if weights_of_cdn(request) {
            response.pause = Duration::from_secs(30);
        }
        response
    });
    let mut child = hub.pull_until_part_of(WEIGHTS, &models);
    child.kill().unwrap();
    child.wait().unwrap();

    // The branch moves on to another commit with other weights of the same length.
    let mut moved = Hub::with("tiny-clip-eps");
    assert_eq!(moved.file(WEIGHTS).len(), hub.file(WEIGHTS).len());
    moved.cache = hub.cache;
    let pulled = moved.pull(&models, &[]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert_eq!(starts(&moved), [0], "started anew");
    let expected = models.import("tiny-clip-eps", "other").ok();
    assert_eq!(pulled.stdout.split("fingerprint ").nth(1), expected.split("fingerprint ").nth(1));
}

#[test]
fn one_process_at_a_time() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|request, mut response| {
        if weights_of_cdn(request) {
            response.pause = Duration::from_secs(30);
        }
        response
    });
    let mut child = hub.pull_until_part_of(WEIGHTS, &models);
    let error = hub.pull(&models, &[]).fails(1);
    assert!(error.contains("another process downloads into"), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    // A dead one holds no lock.
    hub.rule(|_, response| response);
    installs(&hub, &models);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let asked = AtomicUsize::new(0);
    hub.rule(move |_, response| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Response::new(429, "").header("Retry-After", "1"),
        1 => Response::new(503, "").header("Retry-After", "0"),
        2 => Response::new(502, ""),
        _ => response,
    });
    let start = Instant::now();
    installs(&hub, &models);
    assert!(start.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");

    for (status, path) in [(503, "/api/"), (500, "/config.json"), (429, "/model.safetensors")] {
        let (hub, models) = (Hub::with("tiny-clip"), Models::new());
        hub.rule(move |request, response| {
            if request.path.contains(path) { Response::new(status, "").header("Retry-After", "0") } else { response }
        });
        let error = hub.pull(&models, &[]).fails(1);
        assert!(error.contains(&format!("answered {status}")) && error.contains(", 6 times"), "{error}");
        assert_eq!(hub.requests().iter().filter(|r| r.path.contains(path)).count(), 6);
        models.is_empty();
    }

    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    hub.rule(|_, _| Response::new(429, "").header("Retry-After", "86400"));
    let error = hub.pull(&models, &[]).fails(1);
    assert!(error.contains("answered 429") && error.contains("come again in 86400 s"), "{error}");
    assert_eq!(hub.requests().len(), 1);
}
