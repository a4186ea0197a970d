//! `LATENCY`: spikes of the node by kind, and how long each command takes.

use super::*;
use crate::command::table::{self, Found};
use crate::observe::latency::Series;

pub const LATENCY: Command = Command {
    name: "LATENCY",
    summary: "Shows spikes in latency, and how long commands take.",
    complexity: "Depends on subcommand.",
    since: "2.8.13",
    subcommands: &[
        Command { name: "DOCTOR", run: doctor, summary: "Returns what the spikes are, and what to do.", ..ROW },
        Command {
            name: "GRAPH",
            run: graph,
            summary: "Returns a drawing of the spikes of one kind.",
            args: &[text("event")],
            ..ROW
        },
        Command {
            run: |cx, _| {
                help(
                    cx,
                    "LATENCY",
                    &[
                        "DOCTOR",
                        "    Returns what the spikes are, and what to do.",
                        "GRAPH <event>",
                        "    Returns a drawing of the spikes of one kind.",
                        "HISTORY <event>",
                        "    Returns the spikes of one kind: second and milliseconds.",
                        "LATEST",
                        "    Returns the last spike of each kind, and the worst.",
                        "RESET [<event> ...]",
                        "    Forgets the spikes of some kinds, or of all.",
                        "HISTOGRAM [<command> ...]",
                        "    Returns how many calls of each command took no longer than so many",
                        "    microseconds; of all commands that were called if none is named.",
                    ],
                )
            },
            since: "2.8.13",
            ..HELP
        },
        Command {
            name: "HISTOGRAM",
            run: histogram,
            summary: "Returns how many calls of commands took how long.",
            complexity: "O(N) where N is the number of commands with latency information being retrieved.",
            since: "7.0.0",
            args: &[text("command").optional().many()],
            ..ROW
        },
        Command {
            name: "HISTORY",
            run: history,
            summary: "Returns the spikes of one kind.",
            args: &[text("event")],
            ..ROW
        },
        Command { name: "LATEST", run: latest, summary: "Returns the last spike of each kind, and the worst.", ..ROW },
        Command {
            name: "RESET",
            run: reset,
            summary: "Forgets the spikes of some kinds, or of all.",
            args: &[text("event").optional().many()],
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            ..ROW
        },
    ],
    ..SERVER
};

const ROW: Command = Command {
    since: "2.8.13",
    flags: ADMIN,
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    ..SERVER
};

fn latest(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let all = cx.node.latency.all();
    cx.reply.array(all.len());
    for (event, series) in &all {
        let (second, ms) = series.samples.last().copied().unwrap_or_default();
        cx.reply.array(4);
        cx.reply.text(event);
        cx.reply.int(second as i64);
        cx.reply.int(ms as i64);
        cx.reply.int(series.worst_ms as i64);
    }
    REPLIED
}

fn history(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let event = String::from_utf8_lossy(args.word()?);
    let samples = cx.node.latency.history(&event).unwrap_or_default().samples;
    cx.reply.array(samples.len());
    for (second, ms) in samples {
        cx.reply.array(2);
        cx.reply.int(second as i64);
        cx.reply.int(ms as i64);
    }
    REPLIED
}

fn reset(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let events: Vec<String> = args.rest().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    cx.reply.len(cx.node.latency.reset(&events));
    REPLIED
}

fn graph(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let word = args.word()?;
    let event = String::from_utf8_lossy(word);
    let Some(series) = cx.node.latency.history(&event).filter(|series| !series.samples.is_empty()) else {
        return Err(Fault::Bytes([b"ERR No samples available for event '", word, b"'"].concat()));
    };
    let text = drawing(&event, &series, cx.now_ms() / 1000);
    cx.reply.verbatim(&text);
    REPLIED
}

/// Spikes side by side in a drawing, the last ones if there are more.
const COLUMNS: usize = 80;

/// Lines that the tallest spike takes.
const ROWS: u64 = 4;

/// Spikes as columns of bars, each with its age written downwards below it.
fn drawing(event: &str, series: &Series, now_s: u64) -> String {
    let shown = &series.samples[series.samples.len().saturating_sub(COLUMNS)..];
    let high = shown.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let low = shown.iter().map(|(_, ms)| *ms).min().unwrap_or(0);
    let worst = series.worst_ms;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {worst} ms)\n");
    text.extend(std::iter::repeat_n('-', COLUMNS));
    text.push('\n');
    for row in (0..ROWS).rev() {
        let bars: String = shown.iter().map(|(_, ms)| bar(*ms, high, row)).collect();
        text.push_str(bars.trim_end());
        text.push('\n');
    }
    let ages: Vec<Vec<char>> = shown.iter().map(|(second, _)| age(now_s.saturating_sub(*second))).collect();
    text.push('\n');
    for line in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
        let letters: String = ages.iter().map(|age| age.get(line).copied().unwrap_or(' ')).collect();
        text.push_str(letters.trim_end());
        text.push('\n');
    }
    text
}

/// What a spike shows in a row, counted from below: a full, half or empty cell; every spike shows something.
fn bar(ms: u64, high: u64, row: u64) -> char {
    let halves = (ms * ROWS * 2).div_ceil(high.max(1)).max(1);
    match halves.saturating_sub(row * 2) {
        0 => ' ',
        1 => '.',
        _ => '#',
    }
}

/// An age in the largest unit that keeps it short, such as `7s` or `3h`.
fn age(seconds: u64) -> Vec<char> {
    let text = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    };
    text.chars().collect()
}

fn doctor(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let text = diagnosis(&cx.node.latency.all(), cx.node.tuning.latency_threshold_ms());
    cx.reply.verbatim(&text);
    REPLIED
}

fn diagnosis(all: &[(&'static str, Series)], threshold_ms: u64) -> String {
    if threshold_ms == 0 && all.is_empty() {
        return "Spikes are not watched: latency-monitor-threshold is 0. \
                CONFIG SET latency-monitor-threshold <milliseconds> starts it.\n"
            .to_owned();
    }
    if all.is_empty() {
        return format!("There were no spikes of {threshold_ms} ms or more.\n");
    }
    let mut text = String::from("Spikes so far:\n");
    for (event, series) in all {
        let count = series.samples.len().max(1) as u64;
        let mean = series.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count;
        let last = series.samples.last().map_or(0, |(second, _)| *second);
        let first = series.samples.first().map_or(0, |(second, _)| *second);
        let period = last.saturating_sub(first) as f64 / count as f64;
        text.push_str(&format!(
            "* {event}: {count} spikes, {mean} ms on average, {} ms at worst, one every {period:.1} seconds.\n",
            series.worst_ms
        ));
    }
    text.push_str(
        "What to do:\n\
         * SLOWLOG GET shows which commands were slow; slowlog-log-slower-than should be no more than the threshold.\n\
         * Commands that visit every key (KEYS, FLUSHALL, DEBUG) and very large values keep others waiting.\n\
         * A machine that swaps, or whose processors are shared, stops every process on it now and then.\n",
    );
    text
}

fn histogram(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let rows: Vec<&'static Found> = if args.is_empty() {
        table::each().collect()
    } else {
        args.rest().filter_map(named).flat_map(|found| std::iter::once(found).chain(&found.subcommands)).collect()
    };
    let called = rows.into_iter().map(|found| (found, cx.node.stats.latency(found.number)));
    let called: Vec<_> = called.filter(|(_, distribution)| distribution.calls() > 0).collect();
    cx.reply.map(called.len());
    for (found, distribution) in &called {
        let powers = distribution.cumulative();
        cx.reply.text(&found.name);
        cx.reply.map(2);
        cx.reply.text("calls");
        cx.reply.int(distribution.calls() as i64);
        cx.reply.text("histogram_usec");
        cx.reply.map(powers.len());
        for (micros, calls) in powers {
            cx.reply.int(micros as i64);
            cx.reply.int(calls as i64);
        }
    }
    REPLIED
}

/// The command of a name, or the sub-command of one with a bar in it.
fn named(word: &[u8]) -> Option<&'static Found> {
    let mut parts = word.splitn(2, |&byte| byte == b'|');
    let found = table::find(parts.next()?)?;
    parts.next().map_or(Some(found), |sub| found.subcommand(sub))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_are_drawn_with_their_ages() {
        let series = Series { samples: vec![(1000, 10), (1050, 40), (1060, 20)], worst_ms: 50 };
        let text = drawing("command", &series, 1120);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "command - high 40 ms, low 10 ms (all time high 50 ms)");
        assert_eq!(lines[2..6], [" #", " #", " ##", "###"]);
        assert_eq!(lines[7..], ["211", "mmm"]);
    }

    #[test]
    fn the_doctor_says_how_to_start() {
        assert!(diagnosis(&[], 0).contains("latency-monitor-threshold is 0"));
        assert!(diagnosis(&[], 5).contains("no spikes"));
        let series = Series { samples: vec![(10, 4), (14, 6)], worst_ms: 9 };
        assert!(
            diagnosis(&[("command", series)], 1)
                .contains("command: 2 spikes, 5 ms on average, 9 ms at worst, one every 2.0")
        );
    }
}
