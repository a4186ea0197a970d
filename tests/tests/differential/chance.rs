//! What is drawn at random: both servers draw what they hold, each another. What was taken away is made the same.

use crate::script::is;
use crate::servers::Gap;
use crate::side::Side;
use crate::words::Words;
use larder_client::resp::Reply;
use larder_tests::{render, split};
use std::collections::BTreeSet;

/// Looks after two replies whose shapes are the same.
pub fn settle(
    ours: &mut Side,
    theirs: &mut Side,
    client: usize,
    words: &Words,
    here: &Reply,
    there: &Reply,
) -> Option<Gap> {
    if matches!(here, Reply::Error(_) | Reply::Null) {
        return None;
    }
    if is(words, "SPOP") {
        return even_out(ours, theirs, client, words, here, there);
    }
    let all = match () {
        () if is(words, "SRANDMEMBER") => ["SMEMBERS"].as_slice(),
        () if is(words, "HRANDFIELD") => &["HGETALL"],
        () if is(words, "ZRANDMEMBER") => &["ZRANGE", "0 -1 WITHSCORES"],
        () => return None,
    };
    let mut call = split(all[0]);
    call.push(words[1].clone());
    call.extend(all.get(1).map(|rest| split(rest)).unwrap_or_default());
    let held = theirs.call(client, &call)?;
    let with_values = words.len() > 3;
    let width = if is(words, "SRANDMEMBER") { 1 } else { 2 };
    let held: BTreeSet<Vec<String>> =
        leaves(&held).chunks(width).map(|parts| parts[..if with_values { width } else { 1 }].to_vec()).collect();
    let drawn = leaves(here);
    let mut drawn = drawn.chunks(if with_values { width } else { 1 });
    let is_distinct = words.get(2).is_some_and(|count| !count.starts_with(b"-"));
    let mut seen = BTreeSet::new();
    let wrong = drawn.find(|parts| !held.contains(*parts) || is_distinct && !seen.insert(parts.to_vec()));
    wrong.map(|parts| Gap {
        words: words.clone(),
        ours: format!("{parts:?} is not held, or drawn twice"),
        theirs: render(there),
    })
}

/// Takes what either has popped out of both.
fn even_out(
    ours: &mut Side,
    theirs: &mut Side,
    client: usize,
    words: &Words,
    here: &Reply,
    there: &Reply,
) -> Option<Gap> {
    let members = |reply: &Reply| -> BTreeSet<Vec<u8>> {
        match reply {
            Reply::Array(all) | Reply::Set(all) => all.iter().filter_map(Reply::as_bytes).map(<[u8]>::to_vec).collect(),
            one => one.as_bytes().map(<[u8]>::to_vec).into_iter().collect(),
        }
    };
    let (here, there) = (members(here), members(there));
    let union: Vec<Vec<u8>> = here.union(&there).cloned().collect();
    if here == there {
        return None;
    }
    let mut call = split("SREM");
    call.push(words[1].clone());
    call.extend(union.iter().cloned());
    let expected = Some(Reply::Int((union.len() - there.len()) as i64));
    let removed = [ours.call(client, &call), theirs.call(client, &call)];
    removed.iter().any(|count| *count != expected).then(|| Gap {
        words: words.clone(),
        ours: format!("popped what was not held: {:?}", removed[0]),
        theirs: format!("{:?}", removed[1]),
    })
}

/// All that is in a reply, in order, with numbers written in one way.
fn leaves(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(all) | Reply::Set(all) => all.iter().flat_map(leaves).collect(),
        Reply::Map(pairs) => pairs.iter().flat_map(|(key, value)| [leaves(key), leaves(value)].concat()).collect(),
        Reply::Bulk(bytes) => {
            let number = str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok());
            // Only such as scores are written differently by the versions.
            let is_score = number.is_some_and(|number| number.fract() != 0.0 || number.abs() > 1e15);
            vec![if is_score { format!("{:?}", number.unwrap_or_default()) } else { render(reply) }]
        }
        Reply::Double(number) if number.fract() != 0.0 || number.abs() > 1e15 => vec![format!("{number:?}")],
        Reply::Double(number) => vec![format!("\"{number}\"")],
        other => vec![render(other)],
    }
}
