//! Loading when a node starts: which file, what the log tells meanwhile, and what a damaged one means.

use crate::command::loading::{self, LoadFailed, Loaded};
use crate::command::shared::Shared;
use crate::config::Config;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Begins to load the node's snapshot on a thread of its own, if there is one; clients have to wait from now on.
///
/// If it cannot be loaded, the thread stops the node and returns why.
pub fn start(node: &Arc<Shared>, config: &Config) -> Option<JoinHandle<Result<(), String>>> {
    let usual = PathBuf::from(&config.dbfilename);
    let path = match &config.load {
        Some(path) => path.clone(),
        // A node that has never been saved starts empty.
        None if !usual.exists() => {
            node.warm.set_restored(None);
            return None;
        }
        None => usual,
    };
    node.loading.begin();
    let (node, is_own, salvages) = (node.clone(), config.load.is_none(), config.salvage);
    let load = move || {
        let result = load(&node, &path, is_own, salvages);
        match &result {
            // They may have to wait for the hottest keys, too.
            Ok(()) if node.warm.holds_clients() => {}
            Ok(()) => node.loading.end(),
            // Clients wait to the end: nobody is to see the half of it.
            Err(_) => node.stop(),
        }
        result
    };
    Some(std::thread::Builder::new().name("larder-load".into()).spawn(load).expect("a thread can be started"))
}

fn load(node: &Shared, path: &Path, is_own: bool, salvages: bool) -> Result<(), String> {
    let file = path.display();
    tracing::info!(%file, "loading");
    let mut told_keys = 0;
    let mut tell = |share: f64, keys: u64| {
        let per_second = (keys - std::mem::replace(&mut told_keys, keys)) / 5;
        tracing::info!(%file, "loading: {:.0} %, {keys} keys, {per_second} a second", share * 100.0);
    };
    // A node of a stream does not forget silently what others still have: it tells them once it is due.
    let (result, loaded) = node.load(path, is_own, &mut tell);
    let Loaded { keys, expired, skipped, seconds, ref place, .. } = loaded;
    if let (Ok(()), true, Some(place)) = (&result, is_own, place) {
        tracing::info!(id = place.id, offset = place.offset, "the stream of writes goes on from the snapshot");
        node.resume_stream(place);
    }
    if result.is_ok() || salvages {
        node.warm.set_restored(loaded.made_s);
    }
    match result {
        Ok(()) => {
            tracing::info!(%file, keys, expired, skipped, seconds, "loaded");
            Ok(())
        }
        Err(LoadFailed::Unreadable(error)) => Err(unreadable(path, &error)),
        Err(damage) if salvages && !is_own => {
            tracing::warn!("{file} is damaged: {damage}. Kept are the {keys} keys before that");
            Ok(())
        }
        Err(damage) if salvages => {
            let aside = loading::put_aside(path)
                .map_err(|error| format!("cannot put the damaged snapshot {file} out of the way: {error}"))?;
            let aside = aside.display();
            tracing::warn!(
                "{file} is damaged: {damage}. Kept are the {keys} keys before that; the file is now {aside}"
            );
            Ok(())
        }
        Err(damage) => Err(format!(
            "the snapshot {file} is damaged: {damage}. Nothing was changed. `larder rdb check {file}` says more; \
             --salvage starts with the {keys} keys before the damage; to start empty, move the file away"
        )),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let file = path.display();
    format!("cannot read the snapshot {file}: {error}. Name another with --load FILE, or start elsewhere with --dir")
}
