//! Sessions of sorted sets, as a Redis server answers them.

mod combinations;
mod members;
mod pops;
mod ranges;
mod walks;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
