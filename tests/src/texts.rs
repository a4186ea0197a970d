//! Refusals that many commands share, word for word.

/// Words that no option explains.
pub const SYNTAX: &str = "ERR syntax error";
/// A word that had to be a whole number of 64 bits.
pub const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
/// A word that had to be a number.
pub const NOT_A_FLOAT: &str = "ERR value is not a valid float";
/// A key that had to be there.
pub const NO_SUCH_KEY: &str = "ERR no such key";
/// A database number beyond the last database.
pub const NO_SUCH_DATABASE: &str = "ERR DB index is out of range";
/// Anything at all before the password.
pub const NO_PASSWORD_YET: &str = "NOAUTH Authentication required.";

/// The refusal of a command that got too few words or too many; a subcommand is named as `client|kill`.
pub fn arity(command: &str) -> String {
    format!("ERR wrong number of arguments for '{command}' command")
}

/// The refusal of a time that is past representing, or not positive where it has to be.
pub fn bad_expire(command: &str) -> String {
    format!("ERR invalid expire time in '{command}' command")
}

/// The refusal of a subcommand that a command does not have.
pub fn no_subcommand(command: &str, subcommand: &str) -> String {
    format!("ERR unknown subcommand '{subcommand}'. Try {command} HELP.")
}
