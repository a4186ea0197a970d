//! What the commands of this group ask of the settings.

use super::*;
use crate::base::glob;

/// The value of a setting as `CONFIG GET` shows it; empty if there is no such setting.
pub fn text(node: &Shared, name: &str) -> String {
    let is_same = |one: &[u8], other: &[u8]| one == other;
    let found = node.live.get(&[name.as_bytes()], is_same).into_iter().next();
    found.map(|(_, value)| value).unwrap_or_default()
}

/// The path of the configuration file, empty if there is none.
pub fn file(node: &Shared) -> String {
    node.live.file().map(|path| path.display().to_string()).unwrap_or_default()
}

/// Whether a setting of `yes`, `no` or `local` lets this connection do what it guards.
pub fn allows(node: &Shared, name: &str, session: &Session) -> bool {
    match text(node, name).as_str() {
        "yes" => true,
        "local" => is_local(session),
        _ => false,
    }
}

/// Whether a connection comes from this machine.
fn is_local(session: &Session) -> bool {
    session.client.address.ip().is_loopback()
}

/// The settings whose names match any of the patterns, with their values.
pub fn matching(node: &Shared, patterns: &[&[u8]]) -> Vec<(&'static str, String)> {
    node.live.get(patterns, |pattern, name| glob::matches(pattern, name, true))
}

/// Changes settings, all or none; `words` are names and values by turns.
pub fn set(node: &Shared, session: &Session, words: &[&[u8]]) -> Result<(), Fault> {
    let notices = node.live.set(words, is_local(session), &mut |_| Ok(()));
    let notices = notices.map_err(|fault| Fault::owned(fault.to_string()))?;
    notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    node.settings_changed();
    Ok(())
}

/// Writes the settings to the configuration file.
pub fn rewrite(node: &Shared) -> Result<(), Fault> {
    node.live.rewrite().map_err(|fault| Fault::owned(fault.to_string()))
}
