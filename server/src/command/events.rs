//! Keyspace events: what happens to keys, told on channels.

use super::context::Ctx;

/// The kind of an event, by which `notify-keyspace-events` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Generic,
    String,
    List,
    Set,
    Hash,
    ZSet,
    Stream,
    New,
}

impl Ctx<'_> {
    /// Tells of something that has happened to a key of the session's database.
    #[inline]
    pub fn event(&mut self, _class: Class, _name: &'static str, _key: &[u8]) {}

    /// As [`Ctx::event`], if that has happened.
    pub fn event_if(&mut self, happened: bool, class: Class, name: &'static str, key: &[u8]) {
        if happened {
            self.event(class, name, key);
        }
    }
}
