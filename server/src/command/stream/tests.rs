//! What real servers answered, line by line: of Redis 7.0, and where 7.2 says it otherwise, of that.

mod entries;
mod groups;
mod reads;
mod shapes;

const BAD_END: &str = "-ERR invalid end ID for the interval";
const BAD_START: &str = "-ERR invalid start ID for the interval";
const BOTH: &str = "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const NEEDS_KEY: &str = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.";
const NEEDS_STRATEGY: &str = "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
const NEEDS_TILDE: &str = "-ERR syntax error, LIMIT cannot be used without the special ~ option";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const NO_KEY: &str = "-ERR no such key";
const SYNTAX: &str = "-ERR syntax error";
const TOO_SMALL: &str = "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
