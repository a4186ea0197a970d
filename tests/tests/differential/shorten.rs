//! The shortest script that still shows a difference.

use crate::script::Step;
use crate::servers::{Difference, Servers};
use crate::words::Words;
use std::time::{Duration, Instant};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(40);

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
        while kept.get(at).is_some_and(|step| step.is_divisible() && request < step.len()) && Instant::now() < deadline
        {
            let mut fewer = kept.clone();
            fewer[at] = fewer[at].without(request);
            match servers.run(&fewer) {
                Some(found) => {
                    fewer.truncate(found.step + 1);
                    (kept, difference) = (fewer, found);
                }
                None => request += 1,
            }
        }
    }
    Some((kept, difference))
}

/// A script for people: a line for each request, quoted as for `redis-cli`.
pub fn show(script: &[Step]) -> String {
    let mut text = String::new();
    for step in script {
        let follows = match step {
            Step::Waiting(_) => "  (may wait, or is served by the next)",
            _ => "  (at once)",
        };
        for (index, (client, words)) in step.requests().into_iter().enumerate() {
            let follows = if index == 0 { "" } else { follows };
            text.push_str(&format!("client {client}: {}{follows}\n", quoted(words)));
        }
    }
    text
}

/// A request as `redis-cli` takes it; of a long one, the beginning.
pub fn quoted(words: &Words) -> String {
    const SHOWN_MAX: usize = 60;
    let shown = words.iter().take(SHOWN_MAX).map(|word| format!("\"{}\"", word.escape_ascii()));
    let text = shown.collect::<Vec<_>>().join(" ");
    if words.len() > SHOWN_MAX { format!("{text} .. ({} words)", words.len()) } else { text }
}
