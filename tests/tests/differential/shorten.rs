//! The shortest script that still shows a difference.

use crate::script::{Step, Words};
use crate::servers::{Difference, Servers};
use std::time::{Duration, Instant};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Leaves steps out, first many at once, as long as there is a difference. `None` if it does not show again.
pub fn shorten(servers: &mut Servers, script: &[Step]) -> Option<(Vec<Step>, Difference)> {
    let deadline = Instant::now() + PATIENCE;
    let mut difference = servers.run(script)?;
    let mut kept = script[..=difference.step].to_vec();
    let mut width = kept.len().div_ceil(2);
    while width > 0 {
        let mut from = 0;
        while from < kept.len() && Instant::now() < deadline {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + width).min(kept.len()));
            match servers.run(&fewer) {
                Some(found) => {
                    fewer.truncate(found.step + 1);
                    (kept, difference) = (fewer, found);
                }
                None => from += width,
            }
        }
        width = if width == 1 { 0 } else { width.div_ceil(2) };
    }
    for at in (0..kept.len()).rev() {
        let mut request = 0;
        while at < kept.len() && kept[at].answers > 1 && request < kept[at].requests.len() && Instant::now() < deadline
        {
            match servers.run(&without(&kept, at, request)) {
                Some(found) => (kept, difference) = (without(&kept, at, request)[..=found.step].to_vec(), found),
                None => request += 1,
            }
        }
    }
    Some((kept, difference))
}

/// The script without one request of a step that sends several at once.
fn without(script: &[Step], at: usize, request: usize) -> Vec<Step> {
    let mut script = script.to_vec();
    script[at].requests.remove(request);
    script[at].answers -= 1;
    script
}

/// A script for people: a line for each request, quoted as for `redis-cli`.
pub fn show(script: &[Step]) -> String {
    let mut text = String::new();
    for step in script {
        for (index, words) in step.requests.iter().enumerate() {
            let follows = if index == 0 { "" } else { "  (at once)" };
            text.push_str(&format!("client {}: {}{follows}\n", step.client, quoted(words)));
        }
    }
    text
}

/// A request as `redis-cli` takes it.
pub fn quoted(words: &Words) -> String {
    words.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect::<Vec<_>>().join(" ")
}
