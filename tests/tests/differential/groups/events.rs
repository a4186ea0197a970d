//! Keyspace notifications: a connection on each server hears of all events, and what it hears is compared.

use super::Group;

pub const GROUP: Group =
    Group { name: "events", needs: &["PSUBSCRIBE", "PUBLISH"], settings: &["notify-keyspace-events"], ..Group::EMPTY };
