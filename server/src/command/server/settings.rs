//! What the commands of this group ask of the settings.

use super::*;
use crate::base::glob;
use crate::config::live::{Refusal, Step};
use crate::config::value::Value;

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
    let mut limits_output = false;
    let notices = node.live.set(words, is_local(session), &mut |steps| {
        limits_output = steps.iter().any(|step| step.name == "client-output-buffer-limit");
        steps.iter().try_for_each(|step| carry_out(node, step))
    });
    let notices = notices.map_err(|fault| Fault::owned(fault.to_string()))?;
    notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    node.settings_changed();
    if limits_output {
        // Replies may lie there that are too many now, of peers from which nothing is heard.
        node.clients.all().iter().for_each(|client| client.wake());
    }
    Ok(())
}

/// Does what a setting needs of the system before it can be in force.
fn carry_out(node: &Shared, step: &Step) -> Result<(), Refusal> {
    match (step.name, &step.value) {
        ("maxclients", &Value::Whole(clients)) => {
            let clients = u64::try_from(clients).unwrap_or(0);
            let possible = node.room_for_clients(clients);
            let why = || {
                format!(
                    "The operating system is not able to handle the specified number of clients, try with {possible}"
                )
            };
            if possible < clients { Err(Refusal { name: step.name, why: why() }) } else { Ok(()) }
        }
        ("dbfilename", Value::Text(file)) if file.contains(std::path::is_separator) => {
            Err(Refusal { name: step.name, why: "dbfilename can't be a path, just a filename".to_owned() })
        }
        // Files are named without their folder, which is where the process works.
        ("dir", Value::Text(folder)) => {
            std::env::set_current_dir(folder).map_err(|error| Refusal { name: step.name, why: system_text(&error) })
        }
        _ => Ok(()),
    }
}

/// What the system says of an error, without its number.
fn system_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Writes the settings to the configuration file.
pub fn rewrite(node: &Shared) -> Result<(), Fault> {
    node.live.rewrite().map_err(|fault| Fault::owned(fault.to_string()))
}
